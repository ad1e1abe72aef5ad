"""Checks the evidence of a run against the invariants of docs/evidence.md.

``python -m dsched_testkit.checker FILE...`` reads evidence (docs/evidence.md) and prints the
verdict.
"""

import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import attrs

from dsched.contracts.store.events import Event, EventKind
from dsched_testkit.checks import attempts, ends, fires, pins, runs, steps, terms
from dsched_testkit.evidence import Chapter, Evidence, EvidenceError, read
from dsched_testkit.memory import State
from dsched_testkit.memory.audit import Audit

EXCERPT_LINES = 25
SHOWN_VIOLATIONS = 20


@attrs.frozen(kw_only=True)
class Report:
    """What the checker found. ``violations`` begin with the invariant; the rest is what it saw."""

    violations: tuple[str, ...]
    counts: dict[str, int]
    spreads: dict[str, tuple[float, float, float]]
    unknown: tuple[str, ...] = ()


def check(evidence: Evidence) -> Report:
    """Every violation of I1 to I26 that the evidence proves."""
    found: list[str] = []
    for chapter in evidence.chapters:
        found += _of_the_log(chapter.log)
        found += terms.clock(chapter)
        found += fires.of_the_config(chapter)
    log, tasks = evidence.last.log, evidence.tasks
    found += attempts.at_most_once(log, tasks)
    found += attempts.retries(log, tasks)
    found += attempts.undisturbed(evidence)
    found += attempts.recovered(evidence)
    found += attempts.ran(evidence)
    ledger, overlaps_s = attempts.side_by_side(evidence)
    accounts = fires.accounts(evidence)
    found += ledger + accounts.problems
    found += fires.late(evidence)
    found += fires.overlaps(evidence.last)
    found += ends.at_rest(evidence)
    found += ends.acknowledged(evidence)
    found += ends.one_home(evidence)
    found += ends.results_kept(evidence)
    found += ends.bounded(evidence)
    found += terms.signed(evidence)
    found += steps.steps(evidence)
    found += pins.pins(evidence)
    return Report(
        violations=tuple(dict.fromkeys(found)),
        counts=_counts(evidence) | {"configs accounted for": accounts.checked},
        spreads=_spreads(evidence, overlaps_s),
        unknown=tuple(accounts.unknown),
    )


def _of_the_log(log: Sequence[Event]) -> list[str]:
    """The violations within one history, also one that was lost later."""
    return [
        *fires.fire_unique(log),
        *fires.early(log),
        *terms.fenced(log),
        *attempts.one_at_a_time(log),
        *attempts.terminal_once(log),
        *attempts.claims(log),
        *attempts.submitted_once(log),
        *attempts.cancels_win(log),
        *runs.runs(log),
    ]


def _counts(evidence: Evidence) -> dict[str, int]:
    kinds = Counter(event.kind for event in evidence.last.log for _ in event.items)
    ended = Counter(operation.ended for operation in evidence.operations.values())
    return {
        "lines": evidence.lines,
        "events": len(evidence.last.log),
        "histories": len(evidence.chapters),
        "fires": kinds[EventKind.FIRED],
        "claims": kinds[EventKind.CLAIMED],
        "terms": kinds[EventKind.LEADER],
        "tasks": len(evidence.tasks),
        "executions": len(evidence.starts),
        "faults": len(evidence.faults),
        **{f"operations {word}": n for word, n in sorted(ended.items())},
    }


def _spreads(
    evidence: Evidence, overlaps_s: Sequence[float]
) -> dict[str, tuple[float, float, float]]:
    """Median, 99th percentile and maximum, in seconds."""
    late_s = [
        item["late"] / 1000
        for event in evidence.last.log
        if event.kind is EventKind.FIRED
        for item in event.items
    ]
    measured = {
        "fire lag": late_s,
        "recovery after a kill": [ms / 1000 for ms in attempts.recovery_times_ms(evidence)],
        "attempts side by side": list(overlaps_s),
    }
    return {name: _spread(values) for name, values in measured.items() if values}


def _spread(values: list[float]) -> tuple[float, float, float]:
    values.sort()
    last = len(values) - 1
    return values[last // 2], values[round(last * 0.99)], values[last]


class History:
    """The reference store's own log and content, checked without further evidence."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._chapter = Chapter(log=list(state.log))

    def problems(self) -> list[str]:
        """Every violation in words; for a history still under way, whose log was not trimmed."""
        return [*_of_the_log(self._chapter.log), *Audit(self._state).problems()]

    def lost(self, acknowledged: Iterable[str]) -> list[str]:
        """I7, at quiescence: every task that was acknowledged is there and has ended."""
        found = []
        for task_id in acknowledged:
            row = self._state.tasks.get(task_id)
            if row is None:
                found.append(f"I7: {task_id} is gone")
            elif not row.status.terminal:
                found.append(f"I7: {task_id} is still {row.status} ({row.home}, {row.reason})")
        return found

    def unaccounted(self, config_id: str, instants: Iterable[int]) -> list[str]:
        """I2: each instant was fired, or is in exactly one skipped range, and nothing else was."""
        account = fires.Account(config_id=config_id, certain=frozenset(instants))
        return account.audit(self._chapter.log)


def excerpt(log: Iterable[Event], violation: str, *, most: int = EXCERPT_LINES) -> list[str]:
    """The last entries of the log about what a violation names: a task, a config, a fence.

    For an instant, those of its config up to what came after it.
    """
    names = set(_NAME.findall(violation))
    configs = {name.partition("@")[0] for name in names if "@" in name}
    lines = []
    for event in log:
        for item in event.items:
            values = {str(value) for value in item.values()}
            if names & (values | {event.by, event.cursor}) or item.get("config") in configs:
                said = f"by {event.by}: {dict(item)}"
                lines.append(f"{event.cursor.lstrip('0')} {event.at_ms} {event.kind} {said}")
    return lines[-most:]


_NAME = re.compile(r"[A-Za-z0-9][\w.:@-]*[A-Za-z0-9]")


def described(evidence: Evidence, report: Report) -> Iterator[str]:
    """The report, as the command prints it."""
    yield f"verdict: {'violated' if report.violations else 'every invariant held'}"
    for name, count in report.counts.items():
        yield f"  {name}: {count}"
    for name, (half, most, all_of_it) in report.spreads.items():
        yield f"  {name}: median {half:.3f} s, p99 {most:.3f} s, at most {all_of_it:.3f} s"
    for line in report.unknown:
        yield f"  not accounted for: {line}"
    for violation in report.violations[:SHOWN_VIOLATIONS]:
        yield violation
        shown = excerpt(evidence.last.log, violation)
        yield from (f"    {line}" for line in shown)
    if len(report.violations) > SHOWN_VIOLATIONS:
        yield f"and {len(report.violations) - SHOWN_VIOLATIONS} more"


def main(argv: Sequence[str] | None = None) -> int:
    """0: every invariant held, 1: one was violated, 2: the files are no evidence."""
    paths = [Path(text) for text in (sys.argv[1:] if argv is None else argv)]
    if not paths:
        sys.stderr.write("usage: python -m dsched_testkit.checker FILE...\n")
        return 2
    try:
        evidence = read(paths)
    except (EvidenceError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    report = check(evidence)
    sys.stdout.writelines(f"{line}\n" for line in described(evidence, report))
    return int(bool(report.violations))


if __name__ == "__main__":
    sys.exit(main())
