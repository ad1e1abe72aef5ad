"""What the API is asked about pauses."""

from datetime import datetime, timedelta

import attrs

from dsched_api_http.requests import Reason, origin_only


@attrs.frozen(kw_only=True)
class Pause(Reason):
    """Why; ``until`` this instant, or ``for`` so long, if it is to resume by itself;
    ``orphan_of``: because this origin no longer declares it."""

    orphan_of: str | None = attrs.field(
        default=None, validator=attrs.validators.optional(origin_only)
    )
    until: datetime | None = None
    for_: timedelta | None = None

    def __attrs_post_init__(self) -> None:
        """One end, and none of an orphan's pause."""
        if sum(one is not None for one in (self.until, self.for_, self.orphan_of)) > 1:
            raise ValueError("give at most one of until, for and orphan_of")
