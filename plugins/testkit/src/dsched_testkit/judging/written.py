"""What simulated tasks wrote: each attempt's lines once and in order."""

from dsched_testkit.memory import State

TRACE = "Traceback (most recent call last):"
# A store that goes back to an older copy, or is emptied, has lost lines that were acknowledged.
LOSES_LINES = frozenset({"restart", "failover", "wipe"})


def lines_kept_once(state: State) -> list[str]:
    """Violations: lines of an attempt that are missing, doubled, or among another's."""
    found = []
    for task_id, log in state.logs.items():
        spoken: dict[int, list[str]] = {}
        lines = (*log.head, *log.tail)
        for line in lines:
            spoken.setdefault(line.attempt, []).append(line.text)
        for attempt, texts in spoken.items():
            if _without_a_trace(texts) not in ([], ["begins"], ["begins", "ends"]):
                found.append(f"lines of {task_id}, attempt {attempt}: {texts}")
        attempts = [line.attempt for line in lines]
        if attempts != sorted(attempts):
            found.append(f"lines of {task_id}: attempts {attempts} are out of order")
    return found


def _without_a_trace(texts: list[str]) -> list[str]:
    """What an attempt said before the one traceback of its failure, if it failed."""
    return texts[: texts.index(TRACE)] if texts.count(TRACE) == 1 else texts
