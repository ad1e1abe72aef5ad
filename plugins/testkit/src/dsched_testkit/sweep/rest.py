"""Healing a cluster after a play, and what must hold once it has come to rest."""

import asyncio

from dsched.client import Client
from dsched.contracts.store.bounds import MAX_BATCH
from dsched.contracts.store.events import EventKind
from dsched.contracts.store.standing import DRAINS
from dsched.model import TaskSpec
from dsched_testkit.sweep.process import PACKET
from dsched_testkit.sweep.stage import Stage

QUIET_WITHIN_S = 60.0
COLLECTED_WITHIN_S = 10.0
PROBE_WITHIN_S = 20.0
SETTLE_S = 0.5
PROBE = "probe"
_BACKGROUND = frozenset({PACKET, "restart"})


async def heal(stage: Stage) -> list[str]:
    """No more faults; what is missing is started; what does not come to rest, in words."""
    stage.healing = True
    for process in stage.pods.values():
        process.frozen_until_s = 0.0
        process.line.heal()
    await asyncio.sleep(SETTLE_S)
    await stage.until(lambda: not stage.meter.packets, "every packet has arrived")
    for name in stage.plans:
        if name not in stage.pods:
            stage.start(name)
    client = Client(stage.store)
    for row in list(stage.state.workers.values()):
        if row.draining and not row.leaving:  # an operator's drain may have come after its undoing
            await client.resume_worker(row.id)
    for drain in (await stage.store.list_documents(DRAINS, None, MAX_BATCH)).documents:
        await client.resume_worker(
            drain.id
        )  # a worker that is not registered now would be drained when it registers
    await client.submit(TaskSpec(executor="fn", payload={"do": "work", "s": 0}), task_id=PROBE)
    await stage.until(lambda: stage.is_ended(PROBE), "the probe has ended", PROBE_WITHIN_S)
    found = [] if stage.is_ended(PROBE) else [f"I9: a new task does not end: {_where(stage)}"]
    found += _armed(stage)
    stage.healed()
    for config_id in sorted(stage.state.configs):
        await client.delete_config(config_id)
    began_s = stage.now_s()
    await stage.until(lambda: not _waiting(stage), "every task has ended", QUIET_WITHIN_S)
    stage.rest = {
        "waiting": len(_waiting(stage)),
        "after_s": stage.now_s() - began_s,
        "bound_s": QUIET_WITHIN_S,
        "why": _where(stage) if _waiting(stage) else "",
    }
    await stage.until(lambda: _collected(stage), "the log is collected", COLLECTED_WITHIN_S)
    if not _collected(stage):
        found.append(f"I9: the collector stands at {stage.state.collected}")
    if stage.state.fence is None:
        found.append("I9: nobody leads")
    return found


async def end(stage: Stage) -> None:
    """Stop whatever still runs."""
    stage.end()
    for task in asyncio.all_tasks():
        if task.get_name() in _BACKGROUND:
            task.cancel()


def projected(stage: Stage) -> list[str]:
    """The collector's work: each fire and skip has its decision, each ended task its entry."""
    state, found = stage.state, []
    oldest_ms = state.wall() - state.settings.result_ttl_ms
    for event in state.log:
        for item in event.items if event.at_ms > oldest_ms else ():
            key = None
            if event.kind is EventKind.FIRED:
                key = (item["ms"], "fired", "")
            elif event.kind is EventKind.SKIPPED:
                key = (item["first"], "skipped", item["reason"])
            if key is not None and key not in state.decisions[item["config"]]:
                found.append(f"I2: no decision is kept of {event.kind} {dict(item)}")
    return found + [
        f"I12: {row.id} ended {row.status} and is not in the index of the ended"
        for row in state.tasks.values()
        if row.status.terminal and state.finished.get(row.id, (0, None))[1] is not row.status
    ]


def _waiting(stage: Stage) -> list[str]:
    return [row.id for row in stage.state.tasks.values() if not row.status.terminal]


def _collected(stage: Stage) -> bool:
    return int(stage.state.collected) >= stage.state.last_cursor


def _where(stage: Stage) -> str:
    state = stage.state
    waiting = {row.id: (row.home, row.worker_id, row.reason) for row in state.tasks.values()}
    return f"fence {state.fence}, workers {sorted(state.workers)}, tasks {waiting}"


def _armed(stage: Stage) -> list[str]:
    """A fixed delay that may run has a due, or a live task whose end gives it one."""
    return [
        f"I2: {key} has neither a due nor a live task"
        for key, row in stage.state.configs.items()
        if row.config.fixed_delay is not None and row.config.enabled and row.paused is None
        if row.due_ms is None and not stage.state.live.get(key)
    ]
