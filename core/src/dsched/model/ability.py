"""`Ability`: what a worker can run; and a task's need, which is what it takes to run it.

A need is an executor's name (``http``), or for `LOCAL` that and a function's (``local/etl.load``).
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping

import attrs

from dsched.model.ids import InvalidIdError, check_id
from dsched.model.json import JsonValue

LOCAL = "local"
MAX_ABILITY = 5_000  # names; of an executor with more it says only that it runs any
ANY = "/*"


@attrs.frozen
class Ability:
    """What a worker can run, by its ``names`` (needs), known by their ``digest``."""

    digest: str
    names: frozenset[str]

    @classmethod
    def of(cls, names: Iterable[str]) -> "Ability":
        """The ability of these names; of too many those of one executor become ``executor/*``."""
        kept = set(names)
        while len(kept) > MAX_ABILITY:
            ((most, _),) = Counter(name.partition("/")[0] for name in kept).most_common(1)
            kept = {name for name in kept if not name.startswith(f"{most}/")} | {most + ANY}
        text = "\n".join(sorted(kept))
        return cls(hashlib.sha256(text.encode()).hexdigest()[:32], frozenset(kept))

    def runs(self, need: str) -> bool:
        """Whether it can run what has this need; what is known of none can be run by any."""
        if not need or need in self.names:
            return True
        executor, slash, _ = need.partition("/")
        return bool(slash) and executor + ANY in self.names


def need_of(executor: str, payload: JsonValue) -> str:
    """What it takes to run a task; nothing where that cannot be told from it.

    A payload that names no function fails in the open on any worker that has the executor.
    """
    if not _is_name(executor):
        return ""
    if executor == LOCAL and isinstance(payload, Mapping):
        function = payload.get("function")
        if _is_name(function):
            return f"{LOCAL}/{function}"
    return executor


def need_in_words(need: str) -> str:
    """``function etl.load``, ``executor http``."""
    executor, slash, function = need.partition("/")
    return f"function {function}" if slash else f"executor {executor}"


def _is_name(value: object) -> bool:
    try:
        check_id(value)
    except InvalidIdError:
        return False
    return True
