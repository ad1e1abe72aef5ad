"""How long a fire's task waits after its nominal instant, so that many do not start at once."""

from datetime import timedelta
from hashlib import blake2b


def jitter_ms(config_id: str, scheduled_ms: int, jitter: timedelta) -> int:
    """A delay in ms from ``[0, jitter)``: always the same for one (config, instant).

    The nominal instant itself never moves. Every leader, whatever its term, finds the same delay.
    """
    width_ms = jitter // timedelta(milliseconds=1)
    if width_ms <= 0:
        return 0
    digest = blake2b(f"{config_id}@{scheduled_ms}".encode(), digest_size=8).digest()
    # Scaling by the full 64 bits has a negligible bias, and stays below the width.
    return int.from_bytes(digest, "big") * width_ms >> 64
