"""The sweep: play a scenario as written, then once more for each call with something broken at
it."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

import attrs

from dsched.contracts.balancer import LoadBalancer
from dsched_testkit.sweep.play import Played, Scenario, play
from dsched_testkit.sweep.process import Call, Kind, Point
from dsched_testkit.sweep.sites import Site, all_sites, missing
from dsched_testkit.sweep.stage import USER

_UNANSWERED = (Kind.LOST_REQUEST, Kind.LOST_REPLY, Kind.LATE_REQUEST, Kind.CRASH_LATE)


@attrs.frozen(kw_only=True)
class Swept:
    """What the sweep of one scenario gave: its calls, and each play that broke something."""

    name: str
    calls: int
    sites: frozenset[Site]
    points: tuple[Point, ...]
    virtual_s: float
    failed: tuple[tuple[Point | None, Played], ...]


def points_of(calls: Iterable[Call]) -> list[Point]:
    """The faults worth playing, without those that equal one that is played already.

    A process that dies leaves nothing but what the store holds, and what it has sent. So it dies
    once in each situation that one of its calls saw or made, rather than before and after each
    call. A request or a reply is lost once for each place, kind of answer and change that it made,
    whichever task or config that was; a call that changes nothing can only lose its answer, and
    whose call it is makes no difference.
    """
    points: list[Point] = []
    seen: set[object] = set()

    def add(call: Call, kind: Kind, what: object) -> None:
        key = (what, call.name if call.changed or kind is not Kind.LOST_REPLY else "")
        if key not in seen:
            seen.add(key)
            points.append(Point(name=call.name, number=call.number, kind=kind, site=call.site))

    for call in calls:
        add(call, Kind.CRASH_BEFORE, ("dead in", call.before))
        add(call, Kind.CRASH_AFTER, ("dead in", call.after))
        happened = (call.site, call.answer, call.change)
        for kind in _UNANSWERED if call.changed else (Kind.LOST_REPLY,):
            add(call, kind, (kind, happened))
    return points


def every_point_of(calls: Iterable[Call]) -> list[Point]:
    """Each kind of fault at each call, merged with none."""
    return [
        Point(name=call.name, number=call.number, kind=kind, site=call.site)
        for call in calls
        for kind in Kind
        if call.changed or kind in (Kind.CRASH_BEFORE, Kind.LOST_REPLY)
    ]


def sampled(points: Sequence[Point], number: int) -> list[Point]:
    """Some of the points, always the same, spread over all of them."""
    if len(points) <= number:
        return list(points)
    return [points[i * len(points) // number] for i in range(number)]


def sweep(
    scenario: Scenario,
    balancer: tuple[str, LoadBalancer],
    choose: Callable[[list[Point]], list[Point]] = list,
    *,
    merged: bool = True,
    stop: bool = False,
) -> Swept:
    """Sweep one scenario over the points that ``choose`` keeps; or ``stop`` at the first that
    fails."""
    written = play(scenario, balancer, record=True)
    written = attrs.evolve(written, violations=[*written.violations, *_unshown(scenario, written)])
    calls = written.calls if scenario.opening or not merged else _asked(written.calls)
    points = choose((points_of if merged else every_point_of)(calls))
    failed: list[tuple[Point | None, Played]] = [(None, written)] if written.violations else []
    virtual_s = written.virtual_s
    for point in points:
        if stop and failed:
            break
        played = play(scenario, balancer, point)
        virtual_s += played.virtual_s
        if played.violations:
            failed.append((point, played))
    return Swept(
        name=scenario.name,
        calls=len(written.calls),
        sites=frozenset(call.site for call in written.calls),
        points=tuple(points),
        virtual_s=virtual_s,
        failed=tuple(failed),
    )


def _asked(calls: list[Call]) -> list[Call]:
    """The calls from the first one of a user on: until then the cluster only starts."""
    first = next((at for at, call in enumerate(calls) if call.name.startswith(USER)), 0)
    return calls[first:]


def _unshown(scenario: Scenario, written: Played) -> list[str]:
    return [
        f"{scenario.name} never came to {word!r}" for word in sorted(scenario.shows - written.seen)
    ]


@attrs.define
class Totals:
    """What the scenarios so far gave."""

    scenarios: int = 0
    calls: int = 0
    plays: int = 0
    virtual_s: float = 0.0
    kinds: Counter[str] = attrs.field(factory=Counter)
    sites: set[Site] = attrs.field(factory=set)
    failed: list[tuple[str, Point | None, Played]] = attrs.field(factory=list)

    def add(self, swept: Swept) -> None:
        """Add one scenario."""
        self.scenarios += 1
        self.calls += swept.calls
        self.plays += 1 + len(swept.points)
        self.virtual_s += swept.virtual_s
        self.kinds.update(point.kind for point in swept.points)
        self.sites |= swept.sites
        self.failed += [(swept.name, point, played) for point, played in swept.failed]

    def unhit(self) -> list[Site]:
        """The places in the core that no scenario called from."""
        return missing(self.sites)

    def lines(self) -> list[str]:
        """The report."""
        kinds = ", ".join(f"{kind} {n}" for kind, n in sorted(self.kinds.items()))
        report = [
            f"scenarios {self.scenarios}  plays {self.plays}",
            f"virtual hours {self.virtual_s / 3600:.1f}",
            f"calls of the plays as written: {self.calls}",
            f"faults {sum(self.kinds.values())}: {kinds}",
            f"places that call the store: {len(self.sites)} of {len(all_sites())} hit",
            f"plays with violations: {len(self.failed)}",
        ]
        for name, point, played in self.failed[:10]:
            report.append(f"{name}: {point or 'as written'}")
            report += [f"  {line}" for line in played.violations[:5]]
        if self.failed:
            report.append("the log about the first of them:")
            report += [f"  {line}" for line in self.failed[0][2].excerpt]
        return report
