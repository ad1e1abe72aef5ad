"""What the API takes about workers."""

import attrs

from dsched.contracts.store.bounds import MAX_CAPACITY
from dsched.contracts.store.checks import check_capacity
from dsched_api_http.requests import OptionalReason, Reason


def _capacity(_: object, __: object, value: int | None) -> None:
    if value is not None:
        check_capacity(value)


@attrs.frozen(kw_only=True)
class Resize(OptionalReason):
    """How many tasks it is to run at once; null: as many as it is configured to."""

    capacity: int | None = attrs.field(
        validator=_capacity, metadata={"minimum": 1, "maximum": MAX_CAPACITY}
    )


@attrs.frozen(kw_only=True)
class Drain(Reason):
    """Why; ``give_back``: what runs is stopped, and others begin it again."""

    give_back: bool = False
