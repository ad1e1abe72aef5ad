"""Cron fields as sets of numbers and back, for schedulers that write them otherwise."""

from collections.abc import Iterable

SECOND, MINUTE, HOUR, DAY, MONTH = (0, 59), (0, 59), (0, 23), (1, 31), (1, 12)
WEEKDAY = (0, 6)  # 0 is Sunday, as dsched has it


def field_text(values: Iterable[int], bounds: tuple[int, int]) -> str:
    """The shortest field of a cron expression that has exactly these values."""
    found = sorted(set(values))
    low, high = bounds
    if found == list(range(low, high + 1)):
        return "*"
    for step in range(2, high - low + 1):
        if found == list(range(low, high + 1, step)) and len(found) > 2:
            return f"*/{step}"
    for step in range(2, high - low + 1):
        if len(found) > 3 and found == list(range(found[0], found[-1] + 1, step)):
            return f"{found[0]}-{found[-1]}/{step}"
    return ",".join(_runs(found))


def _runs(found: list[int]) -> list[str]:
    """Neighbours as ranges, where that is shorter."""
    parts: list[str] = []
    start = 0
    for at in range(1, len(found) + 1):
        if at < len(found) and found[at] == found[at - 1] + 1:
            continue
        run = found[start:at]
        short = len(run) > 2
        parts += [f"{run[0]}-{run[-1]}"] if short else [str(one) for one in run]
        start = at
    return parts
