"""A task file played in virtual time: the planner's own instants, runs of an assumed length.
Pure."""

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from itertools import accumulate, pairwise
from typing import TypeAlias

import attrs

from dsched.model import Overlap, TaskConfig
from dsched.planning import config_instants, jitter_ms, left_out_between, next_due

MAX_DAYS = 92
MAX_FIRES = 20_000_000
_HOUR_MS = 3_600_000
_MINUTE_MS = 60_000
_SECOND_MS = 1_000


@attrs.frozen(kw_only=True)
class ConfigLoad:
    """What one config did: its fires, those its overlap policy kept from running, and gaps.

    ``takes_ms``: how long a run was taken to last. ``skipped``: an earlier run lived (``skip``), or
    as many waited already as may (``queue_one``: one, ``queue_all``: ``misfire_cap``).
    ``held``: waited for the run before. ``cut``: cancelled by the run after it. ``at_once``: the
    most of its runs at one time. ``left_out``: instants on days that its calendar leaves out; they
    are no fires. ``shortest_gap_ms``: between two fires, None below two.
    """

    id: str
    overlap: str
    takes_ms: int
    fires: int = 0
    runs: int = 0
    skipped: int = 0
    held: int = 0
    cut: int = 0
    left_out: int = 0
    at_once: int = 0
    run_ms: int = 0
    shortest_gap_ms: int | None = None


@attrs.frozen(kw_only=True)
class Load:
    """The load of a span: starts by hour, the busiest minute, the most runs at one time.

    ``hours`` counts the starts of each hour from ``start_ms``. ``busiest`` names the configs that
    start in the busiest minute, each with how often.
    """

    start_ms: int
    end_ms: int
    configs: tuple[ConfigLoad, ...]
    hours: tuple[int, ...]
    busiest_ms: int | None = None
    busiest_starts: int = 0
    busiest: Mapping[str, int] = attrs.field(factory=dict)
    most_at_once: int = 0
    most_at_once_ms: int | None = None


# When it starts and ends, in ms. Plain pairs: a play makes millions of them.
Run: TypeAlias = tuple[int, int]


def simulate(
    configs: Sequence[TaskConfig],
    *,
    start_ms: int,
    end_ms: int,
    run_ms: Mapping[str, int],
    default_run_ms: int,
) -> Load:
    """Play ``[start_ms, end_ms)``, at most 92 days and 20 million fires (`ValueError`).

    A run takes as long as ``run_ms`` says for its config, else ``default_run_ms``, at most its
    timeout. There are always free workers; nothing fails.
    """
    if not 0 < end_ms - start_ms <= MAX_DAYS * 86_400_000:
        raise ValueError(f"the span must be at most {MAX_DAYS} days")
    tally = _Tally(start_ms, end_ms)
    loads = []
    for config in configs:
        timeout_ms = config.timeout // timedelta(milliseconds=1)
        takes_ms = min(run_ms.get(config.id, default_run_ms), timeout_ms)
        known = _created(config, start_ms)
        play = _Play(known, max(takes_ms, 1))
        runs = play.runs(_fires(known, start_ms, end_ms, play.takes_ms))
        tally.add(config.id, runs)
        left_out = left_out_between(known, start_ms, end_ms - 1) if known.enabled else 0
        loads.append(attrs.evolve(play.load(), left_out=left_out))
        if tally.total > MAX_FIRES:
            raise ValueError(f"more than {MAX_FIRES} fires; choose fewer days")
    return tally.load(tuple(loads))


def _created(config: TaskConfig, start_ms: int) -> TaskConfig:
    # A file does not know when its configs will be put; a rate counts from the start of the play.
    return config if config.created_ms else attrs.evolve(config, created_ms=start_ms)


def _fires(config: TaskConfig, start_ms: int, end_ms: int, takes_ms: int) -> Iterator[int]:
    """The instants at which the config fires."""
    if not config.enabled:
        return
    if config.fixed_delay is None:
        yield from config_instants(config).all_between(start_ms, end_ms - 1)
        return
    delay_ms = config.fixed_delay // timedelta(milliseconds=1)
    due_ms = next_due(config, now_ms=start_ms)
    last_ms = end_ms - 1
    if config.end_at is not None:
        last_ms = min(last_ms, round(config.end_at.timestamp() * 1000))
    while due_ms is not None and due_ms <= last_ms:
        yield due_ms
        due_ms += jitter_ms(config.id, due_ms, config.jitter) + takes_ms + delay_ms


class _Play:
    """One config's fires, turned into runs by its overlap policy."""

    def __init__(self, config: TaskConfig, takes_ms: int) -> None:
        self.takes_ms = takes_ms
        self._config = config
        self._counts = dict.fromkeys(("fires", "runs", "skipped", "held", "cut"), 0)
        self._shortest_ms: int | None = None
        self._run_ms = 0
        self._at_once = 0
        self._may_wait = config.misfire_cap if config.overlap is Overlap.QUEUE_ALL else 1

    def runs(self, fires: Iterable[int]) -> list[Run]:
        """What really runs. An earlier task lives from its fire on, jitter included."""
        found: list[Run] = []
        last_ms: int | None = None
        jitters = self._config.jitter > timedelta(0)
        for at_ms in fires:
            self._counts["fires"] += 1
            if last_ms is not None:
                gap_ms = at_ms - last_ms
                if self._shortest_ms is None or gap_ms < self._shortest_ms:
                    self._shortest_ms = gap_ms
            last_ms = at_ms
            start_ms = at_ms
            if jitters:
                start_ms += jitter_ms(self._config.id, at_ms, self._config.jitter)
            self._admit(found, at_ms, start_ms)
        self._counts["runs"] = len(found)
        self._run_ms = sum(end_ms - start_ms for start_ms, end_ms in found)
        self._at_once = self._most(found)
        return found

    def _admit(self, found: list[Run], at_ms: int, start_ms: int) -> None:
        overlap = self._config.overlap
        if overlap == Overlap.ALLOW or not found or found[-1][1] <= at_ms:
            found.append((start_ms, start_ms + self.takes_ms))
        elif overlap == Overlap.SKIP:
            self._counts["skipped"] += 1
        elif overlap == Overlap.CANCEL_PREVIOUS:
            began_ms, _ = found.pop()
            self._counts["cut"] += 1
            if began_ms < at_ms:
                found.append((began_ms, at_ms))
            found.append((start_ms, start_ms + self.takes_ms))
        elif self._held(found, at_ms) >= self._may_wait:
            self._counts["skipped"] += 1
        else:
            self._counts["held"] += 1
            # Released when the run before it ends; it has waited longer than any jitter asks.
            start_ms = found[-1][1]
            found.append((start_ms, start_ms + self.takes_ms))

    def _held(self, found: list[Run], at_ms: int) -> int:
        """How many wait for the end of the run before them."""
        held = 0
        for before, (start_ms, _) in zip(reversed(found[:-1]), reversed(found), strict=False):
            if held >= self._may_wait or start_ms <= at_ms or before[1] < start_ms:
                break
            held += 1
        return held

    def _most(self, found: list[Run]) -> int:
        if self._config.overlap != Overlap.ALLOW:
            return min(1, len(found))
        most = first = 0
        starts = sorted(start_ms for start_ms, _ in found)
        for alive, at_ms in enumerate(starts, 1):
            while starts[first] + self.takes_ms <= at_ms:
                first += 1
            most = max(most, alive - first)
        return most

    def load(self) -> ConfigLoad:
        """What there is to say about this config."""
        return ConfigLoad(
            id=self._config.id,
            overlap=str(self._config.overlap),
            takes_ms=self.takes_ms,
            at_once=self._at_once,
            run_ms=self._run_ms,
            shortest_gap_ms=self._shortest_ms,
            **self._counts,
        )


class _Tally:
    """Starts a minute and runs alive a second, over all configs."""

    def __init__(self, start_ms: int, end_ms: int) -> None:
        self.total = 0
        self._start_ms = start_ms
        self._end_ms = end_ms
        span_ms = end_ms - start_ms
        self._minutes = array("q", bytes(8 * (span_ms // _MINUTE_MS + 1)))
        self._changes = array("i", bytes(4 * (span_ms // _SECOND_MS + 2)))
        self._starts: dict[str, array[int]] = {}

    def add(self, config_id: str, runs: Sequence[Run]) -> None:
        """Count the runs of one config."""
        minutes, changes, start_ms = self._minutes, self._changes, self._start_ms
        last = len(changes) - 1
        self.total += len(runs)
        for began_ms, ended_ms in runs:
            if began_ms >= self._end_ms:
                continue
            minutes[(began_ms - start_ms) // _MINUTE_MS] += 1
            changes[(began_ms - start_ms) // _SECOND_MS] += 1
            # A run counts for each second that it touches.
            changes[min(last, -((start_ms - ended_ms) // _SECOND_MS))] -= 1
        self._starts[config_id] = array("q", [began_ms for began_ms, _ in runs])

    def load(self, configs: tuple[ConfigLoad, ...]) -> Load:
        """The whole picture."""
        minutes = self._minutes
        busiest = max(range(len(minutes)), key=minutes.__getitem__)
        alive = list(accumulate(self._changes))
        peak = max(range(len(alive)), key=alive.__getitem__)
        any_runs = self.total > 0
        return Load(
            start_ms=self._start_ms,
            end_ms=self._end_ms,
            configs=configs,
            hours=self._hours(),
            busiest_ms=self._start_ms + busiest * _MINUTE_MS if any_runs else None,
            busiest_starts=minutes[busiest],
            busiest=self._who(self._start_ms + busiest * _MINUTE_MS),
            most_at_once=alive[peak],
            most_at_once_ms=self._start_ms + peak * _SECOND_MS if any_runs else None,
        )

    def _hours(self) -> tuple[int, ...]:
        count = -((self._start_ms - self._end_ms) // _HOUR_MS)
        bounds = [min(60 * hour, len(self._minutes)) for hour in range(count + 1)]
        return tuple(sum(self._minutes[low:high]) for low, high in pairwise(bounds))

    def _who(self, minute_ms: int) -> dict[str, int]:
        found = {}
        for config_id, starts in self._starts.items():
            count = sum(minute_ms <= at_ms < minute_ms + _MINUTE_MS for at_ms in starts)
            if count:
                found[config_id] = count
        return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))
