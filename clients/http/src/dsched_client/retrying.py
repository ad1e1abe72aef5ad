"""Whether and how long to wait before a call is made again: pure."""

import attrs

from dsched_client.answers import Answer, retry_after_s

FIRST_DELAY_S = 0.1
LONGEST_DELAY_S = 5.0
TOO_MANY = 429
UNAVAILABLE = frozenset({502, 503, 504})


@attrs.frozen(kw_only=True)
class Trouble:
    """An attempt without an answer. ``sent``: the request may have reached the server.

    ``timed_out``: a server took it, or its network did, and said nothing in time.
    """

    sent: bool
    message: str
    timed_out: bool = False


def delay_s(
    outcome: Answer | Trouble,
    *,
    attempt: int,
    attempts: int,
    repeatable: bool,
    left_s: float,
    uniform: float,
) -> float | None:
    """How long to wait before the next attempt; None: there is none.

    ``attempt`` counts from 1. ``repeatable`` calls do the same however often they are made. Others
    are made again only if they cannot have been carried out: the server was not reached, or said so
    (429). Doubling, with jitter from ``uniform`` in [0, 1); a Retry-After is kept to, unless more
    than ``left_s`` would pass.
    """
    if attempt >= attempts or not _worth_it(outcome, repeatable):
        return None
    delay = min(LONGEST_DELAY_S, FIRST_DELAY_S * 2 ** min(attempt - 1, 16)) * (0.5 + uniform / 2)
    asked = retry_after_s(outcome) if isinstance(outcome, Answer) else None
    if asked is not None:
        delay = max(delay, asked)
    return delay if delay <= left_s else None


def _worth_it(outcome: Answer | Trouble, repeatable: bool) -> bool:
    if isinstance(outcome, Trouble):
        return repeatable or not outcome.sent
    return outcome.status == TOO_MANY or (repeatable and outcome.status in UNAVAILABLE)
