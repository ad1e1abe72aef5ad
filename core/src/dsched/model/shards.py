"""`shards`: into how many members a config or a step is parted, or that each worker has one."""

from typing import Any, Literal, TypeAlias

from dsched.model.fields import InvalidConfigError, check_whole

# One member for each worker that is there when the run, or the step, begins; on that worker only.
EACH_WORKER: Literal["each_worker"] = "each_worker"
Shards: TypeAlias = int | Literal["each_worker"]
MAX_SHARDS = 1000


def check_shards(shards: Any, max_parallel: int | None, *, listed: bool = False) -> None:
    """Refuse numbers of shards that cannot be."""
    whole = isinstance(shards, int) and not isinstance(shards, bool)
    counted = whole and 1 <= shards <= MAX_SHARDS
    if not (shards is None or counted or shards == EACH_WORKER):
        shown = repr(shards)[:60]
        raise InvalidConfigError(
            "shards", f"must be 1 to {MAX_SHARDS}, or {EACH_WORKER}; got {shown}"
        )
    if shards is not None and listed:
        raise InvalidConfigError("for_each", "cannot be given with shards; keep one of them")
    if max_parallel is not None:
        if shards is None and not listed:
            raise InvalidConfigError(
                "max_parallel", "is for shards and for_each: give one of them too, or remove it"
            )
        check_whole("max_parallel", max_parallel, 1, MAX_SHARDS)
