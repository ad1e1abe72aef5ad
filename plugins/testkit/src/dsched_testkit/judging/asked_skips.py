"""What simulated operators asked to skip is not fired."""

from collections import defaultdict
from collections.abc import Iterable

from dsched.contracts.store.events import Event, EventKind


def skips_hold(log: Iterable[Event], asked: Iterable[tuple[int, str, int]]) -> list[str]:
    """I2: what an operator asked to skip is not fired while its config lives.

    ``asked``: (position in the log, config, instant). Not where the clock was set back.
    """
    found: list[str] = []
    waiting: defaultdict[str, set[int]] = defaultdict(set)
    pending = sorted(asked)
    for event in log:
        while pending and pending[0][0] < int(event.cursor):
            _, config_id, at_ms = pending.pop(0)
            waiting[config_id].add(at_ms)
        for item in event.items if event.kind in (EventKind.CONFIG, EventKind.FIRED) else ():
            if event.kind is EventKind.CONFIG and item["act"] == "deleted":
                waiting[item["config"]].clear()
            elif event.kind is EventKind.FIRED and item["ms"] in waiting[item["config"]]:
                found.append(f"I2: {item['task']} was fired; it was to be skipped")
    return found
