"""What the API says of the pause of a config."""

import attrs

from dsched.contracts.store.configs import Pause
from dsched.model import rfc3339_ms
from dsched_api_http.wire import TIME, optional_time


@attrs.frozen(kw_only=True)
class Paused:
    """Who paused a config, why, since when, and until when if it resumes by itself."""

    who: str
    why: str
    since: str = attrs.field(metadata=TIME)
    until: str | None = attrs.field(default=None, metadata=TIME)


def paused_of(pause: Pause | None) -> Paused | None:
    """The pause of a config as answered."""
    if pause is None:
        return None
    return Paused(
        who=pause.who,
        why=pause.why,
        since=rfc3339_ms(pause.since_ms),
        until=optional_time(pause.until_ms),
    )
