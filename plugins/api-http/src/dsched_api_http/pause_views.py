"""What the API says of the pause of a config."""

import attrs

from dsched.contracts.store.configs import Pause, StoredConfig
from dsched.model import rfc3339_ms
from dsched_api_http.wire import TIME, optional_time


@attrs.frozen(kw_only=True)
class Paused:
    """Who paused a config, why, since when, and until when if it resumes by itself."""

    who: str
    why: str
    since: str = attrs.field(metadata=TIME)
    until: str | None = attrs.field(default=None, metadata=TIME)


@attrs.frozen(kw_only=True)
class CountedView:
    """What is counted of a config since it was put or resumed: tasks that failed in a row
    (``pause_after_failures``) with the last one, and fires (``max_runs``)."""

    failures: int
    last_failure: str
    runs: int


def counted_of(stored: StoredConfig) -> CountedView | None:
    """What is counted of a config, of one that asks for it."""
    config, counted = stored.config, stored.counted
    if config.pause_after_failures is None and config.max_runs is None:
        return None
    return CountedView(failures=counted.failures, last_failure=counted.last, runs=counted.runs)


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
