"""What may be asked of runs of many tasks."""

import attrs

from dsched_api_http.requests import OptionalReason


@attrs.frozen(kw_only=True)
class Retry(OptionalReason):
    """Why, if there is something to say. ``failed``, of a run of many tasks: only what did not
    succeed and what comes after it is run again, the rest is taken over."""

    failed: bool = False
