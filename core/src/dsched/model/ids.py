"""What an id may look like, and how the ids of a config's tasks are formed."""

import re

MAX_ID_LENGTH = 128

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}")
_FIRE_SUFFIX = re.compile(r"-?[0-9]{1,15}")
_BACKFILL_SUFFIX = re.compile(r"backfill-(-?[0-9]{1,15})(?:-[A-Za-z0-9_.:-]{1,40})?")


class InvalidIdError(ValueError):
    """An id that does not match ``[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}``."""


def check_id(value: object, what: str = "id") -> str:
    """Return ``value`` if it is a valid id of a client's choosing; else raise `InvalidIdError`.

    ``@`` is refused here: it belongs to the scheduler, which forms the ids of a config's tasks.
    """
    if isinstance(value, str) and _ID.fullmatch(value):
        return value
    if not isinstance(value, str):
        raise InvalidIdError(f"{what} must be text, got {type(value).__name__}")
    shown = repr(value if len(value) <= 40 else value[:40] + "...")
    reason = (
        "'@' is reserved for the scheduler's own ids"
        if "@" in value
        else "it must start with a letter or digit and have at most 128 of A-Z a-z 0-9 _ . : -"
    )
    raise InvalidIdError(f"{what} {shown} is not valid: {reason}")


def fire_task_id(config_id: str, scheduled_ms: int) -> str:
    """The id of the one task that the fire ``(config_id, scheduled_ms)`` may create, for ever."""
    return f"{config_id}@{scheduled_ms}"


def manual_task_id(config_id: str, unique: str) -> str:
    """The id of a task that somebody triggered by hand; ``unique`` makes a repeat recognisable."""
    return f"{config_id}@manual-{unique}"


def backfill_task_id(config_id: str, scheduled_ms: int, key: str = "") -> str:
    """The id of a task that makes up for a past instant; another ``key`` makes another task."""
    return f"{config_id}@backfill-{scheduled_ms}" + (key and f"-{key}")


def config_of(task_id: str) -> str | None:
    """The config a task id belongs to, or None for an ad-hoc submission."""
    config_id, at, _ = task_id.partition("@")
    return config_id if at else None


def fire_instant_of(task_id: str) -> int | None:
    """The nominal instant (ms) if the id is that of a fire's task, else None."""
    _, at, suffix = task_id.partition("@")
    return int(suffix) if at and _FIRE_SUFFIX.fullmatch(suffix) else None


def backfill_instant_of(task_id: str) -> int | None:
    """The nominal instant (ms) that a backfill's task makes up for, else None."""
    _, at, suffix = task_id.partition("@")
    found = _BACKFILL_SUFFIX.fullmatch(suffix) if at and suffix.startswith("backfill-") else None
    return int(found.group(1)) if found else None


def member_id(run_id: str, name: str) -> str:
    """The id of a member of a run, by its name in the run."""
    return f"{run_id}~{name}"


def member_name(step: str, index: int | None = None) -> str:
    """What a member is called within its run: ``load``, ``tables~3``, or ``3`` without steps."""
    if index is None:
        return step
    return f"{step}~{index}" if step else str(index)


def step_of_name(name: str) -> tuple[str, int | None]:
    """The step and shard of a name of `member_name`."""
    step, mark, index = name.partition("~")
    if mark:
        return step, int(index)
    return ("", int(name)) if name.isdigit() else (name, None)


def run_of(task_id: str) -> str | None:
    """The run that a member belongs to, None for what is no member."""
    run_id, mark, _ = task_id.partition("~")
    return run_id if mark else None


def name_in_run(task_id: str) -> str:
    """The name of a member within its run."""
    return task_id.partition("~")[2]
