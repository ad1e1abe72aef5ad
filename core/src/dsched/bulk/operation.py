"""`BulkOperation`: what was asked for, how far it is, and how that is written as a document."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import attrs

from dsched.model import JsonValue, TaskStatus
from dsched.selecting import Window

# How many tasks one operation touches: another one can follow it.
MAX_TOUCHED = 100_000
# How many tasks are in hand at a time: a leader that dies leaves at most so many in doubt, and they
# fit into the document together with the ids of the configs.
MAX_IN_HAND = 50
MAX_EXAMPLES = 20


class BulkAct(StrEnum):
    """What is done to each of the tasks."""

    RETRY = "retry"
    CANCEL = "cancel"


class BulkState(StrEnum):
    """``stopping``: somebody asked to stop it, and what is in hand is still done. The last three
    are ends: all is done, it was stopped, or it could not go on."""

    RUNNING = "running"
    STOPPING = "stopping"
    DONE = "done"
    STOPPED = "stopped"
    FAILED = "failed"

    @property
    def ended(self) -> bool:
        """Whether nothing more is done."""
        return self in (BulkState.DONE, BulkState.STOPPED, BulkState.FAILED)


@attrs.frozen(kw_only=True)
class BulkOperation:
    """An operation as it is stored. Instants are wall ms.

    ``pattern``, ``labels`` and ``owner`` are what was asked for; ``config_ids`` the configs that
    meant when it was made, which are those it is about, and ``configs`` their number. ``before_ms``
    is never after ``made_ms``, so that it meets nothing that it has made itself.

    ``found`` is how many tasks there were, at least so many unless ``found_all``. ``in_hand`` are
    the tasks that are dealt with next, or were just before a leader died; ``cursor`` continues
    behind them, and ``walked`` says that nothing comes behind them. ``skips`` says how many were
    skipped, or failed, for each reason; ``examples`` are the first of them, with the reason.
    """

    id: str
    act: BulkAct
    by: str
    reason: str
    pattern: str = "*"
    labels: Mapping[str, str] = attrs.field(factory=dict)
    owner: str | None = None
    status: TaskStatus | None = None
    from_ms: int | None = None
    before_ms: int
    rate: str
    made_ms: int
    configs: int = 0
    config_ids: tuple[str, ...] = ()
    found: int = 0
    found_all: bool = True
    state: BulkState = BulkState.RUNNING
    in_hand: tuple[str, ...] = ()
    cursor: str | None = None
    walked: bool = False
    done: int = 0
    failed: int = 0
    skipped: int = 0
    skips: Mapping[str, int] = attrs.field(factory=dict)
    examples: tuple[tuple[str, str], ...] = ()
    begun_ms: int | None = None
    ended_ms: int | None = None
    note: str = ""
    stopped_by: str = ""
    stop_reason: str = ""

    @property
    def window(self) -> Window:
        """Of what ended: in which span of time."""
        return Window(from_ms=self.from_ms, before_ms=self.before_ms)

    @property
    def touched(self) -> int:
        """How many tasks were dealt with, in one way or another."""
        return self.done + self.failed + self.skipped

    @property
    def left(self) -> int:
        """How many tasks there still are, as far as they were found when it was made."""
        return 0 if self.state.ended else max(0, self.found - self.touched)

    @property
    def why(self) -> str:
        """What is said of each task about why it was made, or cancelled."""
        return f"{self.reason} (bulk {self.id})"


def written(operation: BulkOperation) -> JsonValue:
    """The value of its document."""
    value: dict[str, Any] = attrs.asdict(operation, recurse=False)
    del value["id"]
    for name in ("labels", "skips"):
        value[name] = dict(value[name])
    for name in ("config_ids", "in_hand"):
        value[name] = list(value[name])
    value["examples"] = [list(one) for one in operation.examples]
    return {name: one for name, one in value.items() if one is not None}


def read(operation_id: str, value: JsonValue) -> BulkOperation | None:
    """The operation of a document; None for what this version cannot read."""
    if not isinstance(value, dict):
        return None
    known = {one.name for one in attrs.fields(BulkOperation)}
    told: dict[str, Any] = {name: one for name, one in value.items() if name in known}
    try:
        told["act"] = BulkAct(told["act"])
        told["state"] = BulkState(told["state"])
        if "status" in told:
            told["status"] = TaskStatus(told["status"])
        for name in ("config_ids", "in_hand"):
            told[name] = tuple(str(one) for one in told.get(name, ()))
        told["examples"] = tuple((str(task), str(why)) for task, why in told.get("examples", ()))
        return BulkOperation(**{**told, "id": operation_id})
    except (KeyError, TypeError, ValueError):
        return None
