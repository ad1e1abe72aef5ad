"""Statistics by config and hour: what is counted, and the fixed scale of its distributions.

A distribution is a histogram over fixed slots, each some 19 % wider than the one before, so that
histograms of any hours and configs add up, and a quantile is exact to a slot.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping

import attrs

HOUR_MS = 3_600_000
MAX_STATS_HOURS = 24 * 31  # in one call
EVERYTHING = ""  # the config id under which everything is counted, tasks without a config included
_WORKER = "worker@"  # before a worker's id, which nothing else that is counted can be called
MAX_COUNTED_WORKERS = 200  # by one leader, in one hour: ids may be made up anew at each start

_BINS_AN_OCTAVE = 4
_OCTAVES = 32  # up to 2^32 ms, some 50 days; what is longer is in the last slot
# The longest of each slot, in ms: whole, strictly growing, from 0.
BIN_TOPS_MS: tuple[int, ...] = tuple(
    sorted({0, *(round(2 ** (n / _BINS_AN_OCTAVE)) for n in range(_BINS_AN_OCTAVE * _OCTAVES))})
)

COUNTED = ("runs", "success", "failed", "cancelled", "retries", "fires", "skipped", "missed")
WAIT = "w"  # ms from a fire's instant to the first claim of its task
RUN = "r"  # ms from a claim to the completion


@attrs.frozen(kw_only=True)
class Rollup:
    """What a config (`EVERYTHING`: all of them), or a worker (`worker_key`), did in one hour of the
    wall clock, or a part of it.

    ``adds`` are counters, to be added: the words of `COUNTED`, and ``w3`` or ``r17`` for how many
    waits or runs fell into that slot. ``tops`` are the longest wait ``w`` and run ``r``, in ms.
    Names are letters and digits: one letter in ``tops``, more in ``adds``.
    """

    config_id: str
    hour_ms: int
    adds: Mapping[str, int] = attrs.field(factory=dict)
    tops: Mapping[str, int] = attrs.field(factory=dict)


@attrs.frozen(kw_only=True)
class Spread:
    """A distribution in ms. All None without a sample; quantiles never exceed ``max_ms``."""

    count: int = 0
    p50_ms: int | None = None
    p90_ms: int | None = None
    p95_ms: int | None = None
    p99_ms: int | None = None
    max_ms: int | None = None


@attrs.frozen(kw_only=True)
class Bucket:
    """What a config (None: everything), or a worker, did from ``start_ms`` on, in an hour, a day or
    in all.

    ``runs`` are attempts begun; ``success``, ``failed`` and ``cancelled`` tasks that ended;
    ``retries`` failures to be tried again; ``skipped`` instants, not ranges. ``wait`` is known for
    the tasks of fires, ``run`` for completed attempts. Of a worker only its own attempts count, and
    the tasks that ended by them, by its death too.
    """

    config_id: str | None
    worker_id: str | None = None
    start_ms: int
    runs: int = 0
    success: int = 0
    failed: int = 0
    cancelled: int = 0
    retries: int = 0
    fires: int = 0
    skipped: int = 0
    missed: int = 0
    wait: Spread = attrs.field(factory=Spread)
    run: Spread = attrs.field(factory=Spread)

    @property
    def success_rate(self) -> float | None:
        """The share of successes among tasks that ended in success or failure; None without one."""
        ended = self.success + self.failed
        return self.success / ended if ended else None


def worker_key(worker_id: str) -> str:
    """The key under which a worker is counted, in the place of a config's id."""
    return _WORKER + worker_id


def bin_of(ms: int) -> int:
    """The slot of a duration."""
    return min(bisect_left(BIN_TOPS_MS, max(0, ms)), len(BIN_TOPS_MS) - 1)


def bucket_of(
    config_id: str | None,
    start_ms: int,
    rollups: Iterable[Rollup],
    *,
    worker_id: str | None = None,
) -> Bucket:
    """The sum of rollups."""
    adds: dict[str, int] = {}
    tops: dict[str, int] = {}
    for rollup in rollups:
        for name, number in rollup.adds.items():
            adds[name] = adds.get(name, 0) + number
        for name, number in rollup.tops.items():
            tops[name] = max(tops.get(name, 0), number)
    return Bucket(
        config_id=config_id,
        worker_id=worker_id,
        start_ms=start_ms,
        **{word: adds.get(word, 0) for word in COUNTED},
        wait=_spread(WAIT, adds, tops),
        run=_spread(RUN, adds, tops),
    )


def _spread(letter: str, adds: Mapping[str, int], tops: Mapping[str, int]) -> Spread:
    slots = sorted(
        (int(name[1:]), number)
        for name, number in adds.items()
        if name[0] == letter and name[1:].isdigit() and int(name[1:]) < len(BIN_TOPS_MS)
    )
    count = sum(number for _, number in slots)
    if not count:
        return Spread()
    longest_ms = tops.get(letter, BIN_TOPS_MS[slots[-1][0]])
    p50_ms, p90_ms, p95_ms, p99_ms = (
        min(longest_ms, _quantile(slots, -(-count * percent // 100)))
        for percent in (50, 90, 95, 99)
    )
    return Spread(
        count=count,
        p50_ms=p50_ms,
        p90_ms=p90_ms,
        p95_ms=p95_ms,
        p99_ms=p99_ms,
        max_ms=longest_ms,
    )


def _quantile(slots: Iterable[tuple[int, int]], rank: int) -> int:
    """The top of the slot in which the sample of this rank (from 1) lies."""
    seen, top_ms = 0, 0
    for slot, number in slots:
        seen += number
        top_ms = BIN_TOPS_MS[slot]
        if seen >= rank:
            break
    return top_ms
