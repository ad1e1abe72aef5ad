"""The argument checks that every store makes before a step: a caller's mistake is a ValueError."""

from collections.abc import Iterable, Sequence
from itertools import pairwise

from dsched.contracts.steps import MAX_BATCH, Fire


def check_batch(ids: Sequence[str], bound: int = MAX_BATCH) -> None:
    """Refuse a batch that is too large or names an id twice."""
    if len(ids) > bound:
        raise ValueError(f"{len(ids)} items in one call; at most {bound} are allowed")
    if len(set(ids)) != len(ids):
        raise ValueError("an id occurs twice in one call")


def check_limit(limit: int, bound: int = MAX_BATCH) -> None:
    """Refuse a limit outside 1 to ``bound``."""
    if not 1 <= limit <= bound:
        raise ValueError(f"limit must be 1 to {bound}, got {limit}")


def check_fires(fires: Sequence[Fire]) -> None:
    """Refuse fires with too many runs, runs out of order, or a next due not later than all."""
    check_batch([fire.config_id for fire in fires])
    if sum(len(fire.runs) for fire in fires) > MAX_BATCH:
        raise ValueError(f"more than {MAX_BATCH} runs in one call")
    if sum(len(fire.left_out) for fire in fires) > 2 * MAX_BATCH:
        raise ValueError(f"more than {2 * MAX_BATCH} instants left out in one call")
    for fire in fires:
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


def check_instants(instants: Sequence[int]) -> None:
    """Refuse none, too many, or instants that do not ascend."""
    if not 1 <= len(instants) <= MAX_BATCH or not _ascends(instants):
        raise ValueError(f"give 1 to {MAX_BATCH} instants in ascending order")


def _ascends(instants: Iterable[int]) -> bool:
    return all(before < after for before, after in pairwise(instants))
