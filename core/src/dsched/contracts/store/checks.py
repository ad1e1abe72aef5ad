"""The argument checks that every store makes before a step: a caller's mistake is a ValueError."""

from collections.abc import Iterable, Sequence
from itertools import pairwise

from dsched.contracts.store.bounds import MAX_BATCH, MAX_CAPACITY, MAX_HEAVY_BATCH
from dsched.contracts.store.classes import MAX_LET_CLASSES, Let, Shut
from dsched.contracts.store.collecting import Projection
from dsched.contracts.store.firing import Fire
from dsched.contracts.store.reading import TaskQuery
from dsched.contracts.store.statistics import HOUR_MS, MAX_STATS_HOURS

MAX_DIGITS = 15  # so that the number is exact in every language of a store
MAX_INSTANT_MS = 10**MAX_DIGITS


def check_batch(ids: Sequence[str], bound: int = MAX_BATCH) -> None:
    """Refuse a batch that is too large or names an id twice."""
    if len(ids) > bound:
        raise ValueError(f"{len(ids)} items in one call; at most {bound} are allowed")
    if len(set(ids)) != len(ids):
        raise ValueError("an id occurs twice in one call")


def check_capacity(capacity: int) -> None:
    """Refuse a capacity that no worker can have."""
    if not 1 <= capacity <= MAX_CAPACITY:
        raise ValueError(f"a worker runs 1 to {MAX_CAPACITY} attempts at once, not {capacity}")


def check_limit(limit: int, bound: int = MAX_BATCH) -> None:
    """Refuse a limit outside 1 to ``bound``."""
    if not 1 <= limit <= bound:
        raise ValueError(f"limit must be 1 to {bound}, got {limit}")


def number_of(cursor: str) -> int:
    """The number that a cursor is; anybody may send one, so any other text is refused."""
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) <= MAX_DIGITS):
        raise ValueError(f"{cursor[:60]!r} is not a cursor of this list")
    return int(cursor)


def check_window(query: TaskQuery) -> None:
    """Refuse bounds of a list that has no ends, and instants that no store can compare."""
    bounds = [at_ms for at_ms in (query.from_ms, query.before_ms) if at_ms is not None]
    if bounds and query.config_id is None and query.status is None:
        raise ValueError(
            f"no index serves {query}: only what has ended is in the order of its end, so from_ms "
            "and before_ms need config_id or a terminal status"
        )
    for at_ms in bounds:
        if abs(at_ms) > MAX_INSTANT_MS:
            raise ValueError(f"{at_ms} is no instant; give ms since 1970, up to {MAX_INSTANT_MS}")


def check_skip(skip: int) -> None:
    """Refuse a position before the start."""
    if skip < 0:
        raise ValueError(f"skip must be 0 or more, got {skip}")


def check_fires(fires: Sequence[Fire]) -> None:
    """Refuse fires with too many runs, runs out of order, or a next due not later than all."""
    check_batch([fire.config_id for fire in fires], MAX_HEAVY_BATCH)
    if sum(len(fire.runs) for fire in fires) > MAX_HEAVY_BATCH:
        raise ValueError(f"more than {MAX_HEAVY_BATCH} runs in one call")
    if sum(len(fire.left_out) for fire in fires) > 2 * MAX_BATCH:
        raise ValueError(f"more than {2 * MAX_BATCH} instants left out in one call")
    for fire in fires:
        if fire.parked_until_ms is not None and fire != _parked(fire):
            raise ValueError(f"{fire.config_id}: a fire that parks decides nothing else")
        if fire.resumes and (fire.runs or fire.left_out or fire.parked_until_ms is not None):
            raise ValueError(f"{fire.config_id}: a fire that resumes has a range and a due only")
        if fire.pause is not None and fire != _pausing(fire):
            raise ValueError(f"{fire.config_id}: a fire that pauses has a range only")
        instants = [run.scheduled_ms for run in fire.runs]
        if not _ascends(instants):
            raise ValueError(f"{fire.config_id}: runs must ascend")
        left_out = [skip.at_ms for skip in fire.left_out]
        if not _ascends(left_out):
            raise ValueError(f"{fire.config_id}: left_out must ascend")
        instants += left_out
        if fire.skipped is not None:
            instants.append(fire.skipped.last_ms)
        if instants and fire.next_due_ms is not None and fire.next_due_ms <= max(instants):
            raise ValueError(f"{fire.config_id}: next_due_ms must be later than every instant")


def check_classes(shuts: Sequence[Shut], lets: Sequence[Let]) -> None:
    """Refuse more classes, or more tasks of them, than one step takes."""
    check_batch([one.text for one in shuts])
    if len(lets) > MAX_BATCH:
        raise ValueError(f"at most {MAX_BATCH} lets in one call")
    for one in lets:
        if len(one.classes) > MAX_LET_CLASSES or not 1 <= one.limit <= MAX_BATCH:
            raise ValueError(
                f"a let names at most {MAX_LET_CLASSES} classes and lets out 1 to {MAX_BATCH} tasks"
            )


def _pausing(fire: Fire) -> Fire:
    return Fire(
        config_id=fire.config_id,
        revision=fire.revision,
        due_ms=fire.due_ms,
        skipped=fire.skipped,
        pause=fire.pause,
    )


def _parked(fire: Fire) -> Fire:
    return Fire(
        config_id=fire.config_id,
        revision=fire.revision,
        due_ms=fire.due_ms,
        parked_until_ms=fire.parked_until_ms,
    )


def check_instants(instants: Sequence[int]) -> None:
    """Refuse none, too many, or instants that do not ascend."""
    if not 1 <= len(instants) <= MAX_BATCH or not _ascends(instants):
        raise ValueError(f"give 1 to {MAX_BATCH} instants in ascending order")


def _ascends(instants: Iterable[int]) -> bool:
    return all(before < after for before, after in pairwise(instants))


def check_projection(projection: Projection) -> None:
    """Refuse a projection that is too large, or names what must be unique twice."""
    check_batch([item.task_id for item in projection.finished], 10 * MAX_BATCH)
    check_batch(
        [f"{item.config_id}@{item.first_ms}" for item in projection.updates], 10 * MAX_BATCH
    )
    keys = [f"{item.config_id}@{item.hour_ms}" for item in projection.rollups]
    check_batch(keys, 20 * MAX_BATCH)
    if len(projection.decisions) > 10 * MAX_BATCH:
        raise ValueError(f"more than {10 * MAX_BATCH} decisions in one call")
    check_batch([item.config_id for item in projection.streaks], 10 * MAX_BATCH)


def hours_between(from_ms: int, to_ms: int) -> tuple[int, int]:
    """The first hour that overlaps ``[from_ms, to_ms)``, and where the last one ends, in ms.

    Refuses more hours than one call may ask for.
    """
    first_ms = from_ms - from_ms % HOUR_MS
    end_ms = max(first_ms, to_ms + -to_ms % HOUR_MS)
    if end_ms - first_ms > MAX_STATS_HOURS * HOUR_MS:
        raise ValueError(f"at most {MAX_STATS_HOURS} hours of statistics in one call")
    return first_ms, end_ms
