"""What there is to say of the pause of a config."""

from dsched.contracts.store.configs import Pause
from dsched.model import rfc3339_ms


def who_paused(pause: Pause) -> str:
    """Since when, until when, by whom and why a config is paused."""
    why = f": {pause.why}" if pause.why else ""
    until = "" if pause.until_ms is None else f" until {rfc3339_ms(pause.until_ms)}"
    return f"It is paused since {rfc3339_ms(pause.since_ms)}{until} by {pause.who}{why}."


def lies_in(pause: Pause, at_ms: int) -> bool:
    """Whether an instant is one of a pause."""
    return at_ms > pause.gap_from_ms and (pause.until_ms is None or at_ms < pause.until_ms)
