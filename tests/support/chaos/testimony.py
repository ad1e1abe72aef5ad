"""The lines of evidence that tell what a run promises, and what the store holds at its end."""

from collections import Counter
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from chaos.exporter import Cut, Loss
from dsched.contracts.store import Store
from dsched.contracts.store.events import Event
from dsched.model import Home, TaskStatus
from dsched_testkit.evidence import FORMAT, Recorder, task_items, task_line

_PAGE = 100
SOURCE = "chaos"


def run_line(seed: int, backend: str, loss_bound_s: float | None) -> dict[str, Any]:
    """What is known at the start."""
    bound = {} if loss_bound_s is None else {"loss_bound_s": loss_bound_s}
    return {
        "format": FORMAT,
        "source": f"{SOURCE} {backend} seed {seed}",
        "principals": [SOURCE],
        "at_rest": True,
        **bound,
    }


def final_run(recovery_bound_ms: int) -> dict[str, Any]:
    """What is known only when the machine's own delays were measured."""
    return {"format": FORMAT, "source": SOURCE, "recovery_bound_ms": recovery_bound_ms}


def live_tasks(log: Sequence[Event]) -> set[str]:
    """The tasks that the log tells of, and tells no end of."""
    live: dict[str, bool] = {}
    for _, item in task_items(log):
        task_id, status = str(item["task"]), item.get("status")
        live[task_id] = live.get(task_id, True) and not (
            status is not None and TaskStatus(status).terminal
        )
    return {task_id for task_id, lives in live.items() if lives}


async def write_state(
    store: Store, recorder: Recorder, log: Sequence[Event], acknowledged: set[str]
) -> set[str]:
    """Each task as it is stored, and how many are where; which are there."""
    present: set[str] = set()
    ids = sorted(acknowledged | {str(item["task"]) for _, item in task_items(log)})
    homes: Counter[str] = Counter(dict.fromkeys((home.value for home in Home), 0))
    for start in range(0, len(ids), _PAGE):
        for task in await store.get(ids[start : start + _PAGE], full=True):
            if task is not None:
                recorder.write("task", **task_line(task))
                present.add(task.id)
                if task.home is not None:
                    homes[task.home.value] += 1
    recorder.write("census", families=dict(homes), empty_at_rest=list(homes))
    return present


def lost_unseen(
    acknowledged_s: Mapping[str, float],
    present: AbstractSet[str],
    losses: Sequence[Loss],
    cuts: Sequence[Cut],
    bound_s: float,
) -> list[tuple[float, float]]:
    """Spans of acknowledged writes that were lost before the exporter saw them, a cut each.

    From the first to the last write that is missing, those that were seen included. What no cut
    of the fault log can have lost is left to the checker.
    """
    missing = [at_s for task_id, at_s in acknowledged_s.items() if task_id not in present]
    spans: list[tuple[float, float]] = []
    for cut in cuts:
        inside = [at for at in missing if cut.from_s - bound_s <= at <= cut.upto_s]
        missing = [at for at in missing if at not in inside]
        if inside:
            seen = [loss for loss in losses if loss.explained([cut], bound_s)]
            first_s = min([*inside, *(loss.from_s for loss in seen)])
            spans.append((first_s, max([*inside, *(loss.upto_s for loss in seen)])))
    return spans
