"""What is due by cell of time, and how many slots that takes: pure, bounded, counted from
triggers."""

from collections.abc import Iterable, Mapping, Sequence
from math import ceil

import attrs

from dsched.contracts.store.configs import StoredConfig
from dsched.model import EveryTrigger, FixedDelayTrigger, TaskConfig, to_ms
from dsched.planning import Instants, InvalidTriggerError, config_instants

MAX_STEPS = 60_000  # instants that are looked at for one answer


@attrs.frozen(kw_only=True)
class Span:
    """A range of time in cells of one length: ``[from_ms, from_ms + cells * cell_ms)``."""

    from_ms: int
    cell_ms: int
    cells: int

    @property
    def to_ms(self) -> int:
        """Where it ends; that instant is not in it."""
        return self.from_ms + self.cells * self.cell_ms

    def cell_of(self, at_ms: int) -> int:
        """The number of the cell an instant lies in, cut to those that there are."""
        return max(0, min(self.cells - 1, (at_ms - self.from_ms) // self.cell_ms))


@attrs.frozen(kw_only=True)
class Due:
    """What a config fires within a span: instants, or for what fires more often than once a cell
    only how many there are in each (`dense_ms` apart; ``counts`` where a calendar leaves days
    out)."""

    config_id: str
    instants: tuple[int, ...] = ()
    dense_ms: int | None = None
    counts: Mapping[int, int] | None = None
    first_ms: int = 0
    last_ms: int = 0
    complete: bool = True

    def by_cell(self, span: Span) -> dict[int, int]:
        """How many fires each cell has."""
        found: dict[int, int] = dict(self.counts or {})
        for at_ms in self.instants:
            cell = span.cell_of(at_ms)
            found[cell] = found.get(cell, 0) + 1
        if self.dense_ms is not None and self.counts is None:
            for cell in range(span.cell_of(self.first_ms), span.cell_of(self.last_ms) + 1):
                begin_ms = span.from_ms + cell * span.cell_ms
                low_ms = max(self.first_ms, begin_ms)
                high_ms = min(self.last_ms, begin_ms + span.cell_ms - 1)
                # Instants are first, first + dense, ...: those in [low, high].
                upto = (high_ms - self.first_ms) // self.dense_ms
                before = (low_ms - 1 - self.first_ms) // self.dense_ms
                if upto > before:
                    found[cell] = found.get(cell, 0) + upto - before
        return found


@attrs.frozen(kw_only=True)
class Cell:
    """What a cell is expected to take: fires, and the most slots at one time."""

    fires: int
    slots: int


def fires(stored: StoredConfig) -> bool:
    """Whether it is known when this one fires: not while it is paused, disabled, or waits for the
    end of its own runs."""
    config = stored.config
    known = not isinstance(config.trigger, FixedDelayTrigger)
    return known and stored.paused is None and config.enabled


def due_of(config: TaskConfig, span: Span, *, after_ms: int, steps: int = MAX_STEPS) -> Due:
    """What a config fires within a span, later than ``after_ms``; at most ``steps`` instants."""
    low_ms = max(after_ms, span.from_ms - 1)
    trigger = config.trigger
    dense = isinstance(trigger, EveryTrigger) and _period_ms(trigger) < span.cell_ms
    if isinstance(trigger, EveryTrigger) and dense and config.calendar is None:
        return _dense(config, trigger, low_ms, span.to_ms - 1)
    try:
        instants = config_instants(config)
    except InvalidTriggerError:
        return Due(config_id=config.id)  # stored by another version: told where it is shown
    if isinstance(trigger, EveryTrigger) and dense:
        return _dense_by_cell(
            config, instants, span, after_ms=low_ms, period_ms=_period_ms(trigger)
        )
    found: list[int] = []
    at_ms = instants.next_after(low_ms)
    while at_ms is not None and at_ms < span.to_ms:
        if len(found) >= steps:
            return Due(config_id=config.id, instants=tuple(found), complete=False)
        found.append(at_ms)
        at_ms = instants.next_after(at_ms)
    return Due(config_id=config.id, instants=tuple(found))


def _dense(config: TaskConfig, trigger: EveryTrigger, low_ms: int, high_ms: int) -> Due:
    if config.start_at is not None:
        low_ms = max(low_ms, to_ms(config.start_at) - 1)
    if config.end_at is not None:
        high_ms = min(high_ms, to_ms(config.end_at))
    low_ms = max(low_ms, trigger.anchor_ms - 1)
    period_ms = _period_ms(trigger)
    first_ms = trigger.anchor_ms + ((low_ms - trigger.anchor_ms) // period_ms + 1) * period_ms
    if first_ms > high_ms:
        return Due(config_id=config.id)
    last_ms = first_ms + (high_ms - first_ms) // period_ms * period_ms
    return Due(config_id=config.id, dense_ms=period_ms, first_ms=first_ms, last_ms=last_ms)


def _dense_by_cell(
    config: TaskConfig, instants: Instants, span: Span, *, after_ms: int, period_ms: int
) -> Due:
    """Of a config whose calendar leaves days out: counted, cell by cell."""
    counts = {}
    for cell in range(span.cells):
        begin_ms = span.from_ms + cell * span.cell_ms
        found = instants.count_between(max(after_ms + 1, begin_ms), begin_ms + span.cell_ms - 1)
        if found:
            counts[cell] = found
    first_ms = instants.next_after(after_ms) or span.to_ms
    last_ms = instants.last_before(span.to_ms - 1, not_before_ms=after_ms + 1)
    if not counts or last_ms is None:
        return Due(config_id=config.id)
    return Due(
        config_id=config.id,
        dense_ms=period_ms,
        counts=counts,
        first_ms=first_ms,
        last_ms=last_ms,
    )


def _period_ms(trigger: EveryTrigger) -> int:
    return max(1, round(trigger.period.total_seconds() * 1000))


def all_due(configs: Iterable[StoredConfig], span: Span, *, after_ms: int) -> Sequence[Due]:
    """What these fire; those for whom no steps were left are not complete."""
    found, steps = [], MAX_STEPS
    for stored in configs:
        if not fires(stored):
            continue
        one = due_of(stored.config, span, after_ms=after_ms, steps=max(0, steps))
        steps -= len(one.instants) + 1
        found.append(one)
    return found


def load_of(due: Iterable[Due], took_ms: Mapping[str, int], span: Span) -> tuple[Cell, ...]:
    """The load of a span, when each run takes as long as ``took_ms`` says of its config."""
    counts = [0] * span.cells
    steady = [0] * span.cells
    edges: list[tuple[int, int]] = []
    for one in due:
        run_ms = max(1, took_ms.get(one.config_id, 1))
        for cell, count in one.by_cell(span).items():
            counts[cell] += count
        for at_ms in one.instants:
            edges += ((at_ms, 1), (at_ms + run_ms, -1))
        if one.dense_ms is not None:
            at_once = ceil(run_ms / one.dense_ms)
            for cell in one.by_cell(span):
                steady[cell] += at_once
    peaks = peaks_of(edges, span)
    return tuple(
        Cell(fires=counts[cell], slots=peaks[cell] + steady[cell]) for cell in range(span.cells)
    )


def peaks_of(edges: Iterable[tuple[int, int]], span: Span) -> list[int]:
    """The most that is open at one time in each cell; an edge is when, and one more or less. What
    ends at the instant another begins is not beside it."""
    peaks = [0] * span.cells
    open_now, filled = 0, -1
    for at_ms, step in sorted(edges):
        if at_ms >= span.to_ms:
            break
        # The cells since the last edge: the one it lies in begins with what is open by now.
        reached = -1 if at_ms < span.from_ms else span.cell_of(at_ms)
        for cell in range(filled + 1, reached + 1):
            peaks[cell] = max(peaks[cell], open_now if not _begins(at_ms, cell, span) else 0)
        filled = max(filled, reached)
        open_now += step
        if reached >= 0:
            peaks[reached] = max(peaks[reached], open_now)
    for cell in range(filled + 1, span.cells):
        peaks[cell] = max(peaks[cell], open_now)
    return peaks


def _begins(at_ms: int, cell: int, span: Span) -> bool:
    """Whether this instant is the first of its cell: nothing was open in the cell before it."""
    return at_ms == span.from_ms + cell * span.cell_ms
