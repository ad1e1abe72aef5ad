"""What a trigger takes."""

from collections.abc import Mapping
from typing import Any

import attrs

from dsched_api_http.requests import OptionalReason


@attrs.frozen(kw_only=True)
class Trigger(OptionalReason):
    """A run out of turn. The same ``key`` again is the same task. ``params`` are of those that the
    config declares, by name."""

    key: str | None = None
    params: Mapping[str, Any] | None = None
