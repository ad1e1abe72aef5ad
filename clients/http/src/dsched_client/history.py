"""What the API answers of the store's history, as a value."""

from datetime import datetime

import attrs


@attrs.frozen(kw_only=True)
class Break:
    """A break of the store's history: what happened since may be lost (None: all that was
    before)."""

    generation: int
    at: datetime | None = None
    since: datetime | None = None
    loss: str = ""
    by: str = ""
    why: str = ""
