"""What may be asked of runs of many tasks."""

import attrs

from dsched.client.runs import MAX_RUNS
from dsched.model import TaskStatus
from dsched.planning.runs.picture import LET_OFF, LIVE
from dsched_api_http.requests import OptionalReason, Page, between

MEMBER_STATES = (LIVE, *(status.value for status in TaskStatus if status.terminal), LET_OFF)


def _state(_: object, __: object, value: str | None) -> None:
    if value is not None and value not in MEMBER_STATES:
        raise ValueError(f"state must be one of {', '.join(MEMBER_STATES)}")


@attrs.frozen(kw_only=True)
class MemberList(Page):
    """Which members of a run: of one step, and in one ``state`` (``live``, how they ended, or
    ``skipped``: let off, as their worker had left), or all."""

    step: str | None = None
    state: str | None = attrs.field(default=None, validator=_state)


@attrs.frozen(kw_only=True)
class Retry(OptionalReason):
    """Why, if there is something to say. ``failed``, of a run of many tasks: only what did not
    succeed and what comes after it is run again, the rest is taken over."""

    failed: bool = False


@attrs.frozen(kw_only=True)
class RunList:
    """How many of the latest runs of a config."""

    limit: int = attrs.field(
        default=10,
        validator=between(1, MAX_RUNS),
        metadata={"minimum": 1, "maximum": MAX_RUNS},
    )
