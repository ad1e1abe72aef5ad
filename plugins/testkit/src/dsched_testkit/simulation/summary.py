"""Sums over many seeds, and what they must have seen to show that the faults had an effect."""

import math
from collections import Counter

import attrs

from dsched.contracts.store.outcomes import Outcome, RunOutcome
from dsched_testkit.simulation.faults import MENU
from dsched_testkit.simulation.run import Ran

REQUIRED_FROM = 200  # with fewer seeds a path may be missed by chance
RARE_FROM = 500

# Words that need two rare things at once: a worker that dies between a reading and a choice.
RARE = frozenset(
    str(word)
    for word in (Outcome.DRAINING, Outcome.EARLY, Outcome.FULL, Outcome.GONE, Outcome.STALLED)
)
WORDS = frozenset(str(word) for word in (*Outcome, *(f"run {run}" for run in RunOutcome)))

# Recoveries, by their entries in the log and by what the store was seen to do.
PATHS = frozenset(
    {
        *("clock_back", "deferred", "cancel_requested", "cancelled expired"),
        *("cancelled superseded", "fired held", "leader acquired", "leader resigned"),
        *("completed success", "completed cancelled", "completed failed timeout"),
        *("completed failed retries exhausted", "completed failed not retryable"),
        *("completed retrying", "completed retrying timeout"),
        *("reaped pending", "reaped retrying", "reaped cancelled", "reaped failed"),
        *("reaped failed poison", "released pending", "released failed"),
        *("recalled", "recalled stalled", "worker superseded", "worker draining"),
        *("worker deregistered", "pod killed", "pod left", "pod superseded"),
        *("skipped misfire", "skipped overlap", "skipped edited", "skipped paused"),
        *("skipped deleted", "skipped disabled"),
        *("refused loading", "refused readonly", "refused oom", "refused after a wipe"),
        *("evicted lock", "evicted wake-ups", "evicted ended", "pod refused after a wipe"),
        *("fired at a jump of the clocks", "fired in an hour that comes twice"),
    }
)
REQUIRED = PATHS | (WORDS - RARE)


@attrs.define
class Totals:
    """What the seeds so far gave."""

    seeds: int = 0
    virtual_s: float = 0.0
    tasks: int = 0
    fires: int = 0
    calls: int = 0
    longest_rest_s: float = 0.0
    least_slack_s: float = math.inf
    accounted_configs: int = 0
    faults: Counter[str] = attrs.field(factory=Counter)
    seen: Counter[str] = attrs.field(factory=Counter)
    failed: list[Ran] = attrs.field(factory=list)

    def add(self, ran: Ran) -> None:
        """Add one seed."""
        self.seeds += 1
        for name in ("virtual_s", "tasks", "fires", "calls", "accounted_configs"):
            setattr(self, name, getattr(self, name) + getattr(ran, name))
        self.longest_rest_s = max(self.longest_rest_s, ran.rested_s)
        self.least_slack_s = min(self.least_slack_s, ran.slack_s)
        self.faults.update(ran.faults)
        self.seen.update(ran.seen)
        if ran.violations:
            self.failed.append(ran)

    def missing(self) -> list[str]:
        """What should have been seen and was not; few seeds need not have seen anything."""
        if self.seeds < REQUIRED_FROM:
            return []
        required = REQUIRED | RARE if self.seeds >= RARE_FROM else REQUIRED
        return sorted((required - set(self.seen)) | (set(MENU) - set(self.faults)))

    def lines(self) -> list[str]:
        """The report."""
        report = [
            f"seeds {self.seeds}  virtual hours {self.virtual_s / 3600:.1f}",
            f"store calls {self.calls}  tasks {self.tasks}  fires {self.fires}",
            f"configs accounted for instant by instant: {self.accounted_configs}",
            f"longest rest {self.longest_rest_s:.0f} s, least slack {self.least_slack_s:.0f} s",
            f"faults {sum(self.faults.values())}: {_counts(self.faults)}",
            f"seen: {_counts(self.seen)}",
            f"seeds with violations: {len(self.failed)}",
        ]
        for ran in self.failed:
            report += [f"seed {ran.seed}: {len(ran.violations)} violations"]
            report += [f"  {line}" for line in ran.violations[:5]]
        if self.failed:
            first = self.failed[0]
            report += [f"the log of seed {first.seed} about the first of them:"]
            report += [f"  {line}" for line in first.excerpt]
        if missing := self.missing():
            report.append(f"never seen, although {self.seeds} seeds ran: {', '.join(missing)}")
        return report


def _counts(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {n}" for name, n in sorted(counts.items()))
