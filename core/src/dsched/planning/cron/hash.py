"""``H`` in a cron field: a value that differs from config to config and never changes for one."""

import re
from hashlib import blake2b

from dsched.planning.errors import InvalidTriggerError

_HASH = re.compile(r"H(?:\((\d{1,2})-(\d{1,2})\))?(?:/(\d{1,2}))?")
# Every month has a 28th; a plain H that lands on the 30th would leave out February.
_LAST_DAY_OF_ALL_MONTHS = 28


def resolve_hash(term: str, field: str, low: int, high: int, *, seed: str) -> str:
    """Replace ``H``, ``H(a-b)``, ``H/n`` or ``H(a-b)/n`` by plain cron text; leave others alone.

    Spread here rather than by croniter: schedules must not move when a library is upgraded on
    one pod and not on the next.
    """
    if not term.startswith("H"):
        return term
    match = _HASH.fullmatch(term)
    if match is None:
        raise _bad(field, term, "expected H, H(a-b), H/n or H(a-b)/n")
    if field == "day of month":
        high = _LAST_DAY_OF_ALL_MONTHS
    if field == "day of week":
        high = 6
    if match[1] is not None:
        first, last = int(match[1]), int(match[2])
        top = 31 if field == "day of month" else high
        if not low <= first < last <= top:
            raise _bad(field, term, f"the range must run upwards within {low} to {top}")
        low, high = first, last
    width = high - low + 1
    step = int(match[3]) if match[3] is not None else None
    if step is None:
        return str(low + _spread(seed, field, width))
    if not 1 <= step <= width:
        raise _bad(field, term, f"the step is 1 to {width}")
    start = low + _spread(seed, field, step)
    return _stepped(start, high, step, ranged=match[1] is not None or field == "day of month")


def _stepped(start: int, high: int, step: int, *, ranged: bool) -> str:
    if start + step > high:
        return str(start)
    # An open step (no range) marks the field as running straight through DST changes, as */n does.
    return f"{start}-{high}/{step}" if ranged else f"{start}/{step}"


def _spread(seed: str, field: str, width: int) -> int:
    digest = blake2b(f"{field}|{seed}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % width


def _bad(field: str, term: str, reason: str) -> InvalidTriggerError:
    shown = term if len(term) <= 30 else term[:27] + "..."
    return InvalidTriggerError("cron_expr", f"{field} {shown!r}: {reason}")
