"""Whether the figures of a run reach the targets of `targets.toml`: a table for the page."""

import statistics
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

import attrs
import wide

FILE = Path(__file__).with_name("targets.toml")
MET, MISSED, UNKNOWN = "met", "**not met**", "not measured"
YARDSTICK = "bullmq"

Values = Mapping[str, Mapping[str, Sequence[float]]]


@attrs.frozen(kw_only=True)
class Check:
    """One figure and its bars; None: this figure has no such bar."""

    figure: str
    system: str = "dsched"
    must: float | None = None
    goal: float | None = None
    least: bool = False
    worst: bool = False
    over: Sequence[str] = ()
    label: str = ""
    yardstick: float | None = None

    def measured(self, values: Values) -> float | None:
        """The figure that is held to the bars, None where the run has none."""
        by_system = values.get(self.figure, {})
        found = by_system.get(self.system)
        if not found:
            return None
        value = self._worst(found) if self.worst else statistics.median(found)
        if not self.over:
            return value
        others = [statistics.median(by_system[name]) for name in self.over if by_system.get(name)]
        return value / (max if self.least else min)(others) if others else None

    def beside(self, peer: str) -> "Check":
        """The same as a ratio to ``peer`` in the same run; its bars were set where that had
        `yardstick`."""

        def scaled(bar: float | None) -> float | None:
            return None if bar is None or self.yardstick is None else bar / self.yardstick

        return attrs.evolve(
            self, over=(peer,), must=scaled(self.must), goal=scaled(self.goal), yardstick=None
        )

    def _worst(self, found: Sequence[float]) -> float:
        return min(found) if self.least else max(found)

    def reaches(self, value: float, bar: float) -> bool:
        """Whether a value is on the right side of a bar."""
        return value >= bar if self.least else value <= bar


@attrs.frozen(kw_only=True)
class Target:
    """One row: in words, and as checks that must all hold."""

    what: str
    must: str
    goal: str
    checks: Sequence[Check]

    def verdict(self, values: Values, bar: str) -> str:
        """Whether ``bar`` (must or goal) is reached. One missed check decides, measured or not."""
        missing = False
        for check in self.checks:
            wanted = getattr(check, bar)
            if wanted is None:
                continue
            value = check.measured(values)
            if value is None:
                missing = True
            elif not check.reaches(value, wanted):
                return MISSED
        return UNKNOWN if missing else MET

    def measured(self, values: Values) -> str:
        """The figures as the table shows them."""
        shown = []
        for check in self.checks:
            value = check.measured(values)
            if value is not None:
                shown.append(f"{check.label} {wide.number(value)}".strip())
        return "; ".join(shown)


def targets() -> tuple[Target, ...]:
    """All of them, in the order of the file."""
    rows = tomllib.loads(FILE.read_text(encoding="utf-8"))["target"]
    return tuple(
        Target(**(row | {"checks": tuple(Check(**check) for check in row["checks"])}))
        for row in rows
    )


def ratios(values: Values) -> list[str]:
    """What the bars and the figures are beside `YARDSTICK`, as lines of Markdown; none without
    it."""
    lines = []
    for target in targets():
        for check in target.checks:
            if check.yardstick is None:
                continue
            beside = check.beside(YARDSTICK)
            value = beside.measured(values)
            if value is None:
                continue
            bars = f"{wide.number(beside.must or 0)} | {wide.number(beside.goal or 0)}"
            row = attrs.evolve(target, checks=(beside,))
            verdicts = f"{row.verdict(values, 'must')} | {row.verdict(values, 'goal')}"
            lines.append(f"| {check.figure} | {bars} | {wide.number(value)} | {verdicts} |")
    if not lines:
        return []
    return [
        "",
        (
            "A time of one machine says little of another, and this one is not the one "
            f"that the bars were set on. Beside {YARDSTICK}, which ran on both, bars and "
            "figures compare:"
        ),
        "",
        f"| as a multiple of {YARDSTICK}'s | must | goal | measured | must | goal |",
        "|---|---|---|---|---|---|",
        *lines,
    ]


def table(values: Values) -> list[str]:
    """The table *Targets* as lines of Markdown."""
    lines = ["| what | must | goal | measured | must | goal |", "|---|---|---|---|---|---|"]
    for target in targets():
        verdicts = target.verdict(values, "must"), target.verdict(values, "goal")
        cells = (target.what, target.must, target.goal, target.measured(values), *verdicts)
        lines.append(f"| {' | '.join(cells)} |")
    return lines
