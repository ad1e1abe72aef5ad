"""What the API is asked about acts on many tasks."""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

import attrs

from dsched_api_http.requests import OptionalReason


@attrs.frozen(kw_only=True)
class BulkBody(OptionalReason):
    """``retry`` what has ended, or ``cancel`` what waits or runs, of the configs that ``config``
    (an id, or the beginning of ids and a star), ``labels`` and ``owner`` mean; one of them is
    needed. ``status``: of a retry ``failed`` unless it is given, of a cancel any. ``since`` and
    ``until``: what ended between them. ``rate``: how many in how long, ``20/s`` unless it is given.
    Why is needed unless with ``dry_run``, which counts and makes nothing."""

    act: Literal["retry", "cancel"]
    config: str | None = None
    labels: Mapping[str, str] | None = None
    owner: str | None = None
    status: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    rate: str | None = None
    dry_run: bool = False

    def __attrs_post_init__(self) -> None:
        """Whatever is done is done for a reason."""
        if not (self.dry_run or self.reason.strip()):
            raise ValueError("reason must say why, in a few words")
