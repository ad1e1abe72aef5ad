"""Which workers may run a member of a step that has one for each, and which of these have left."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import attrs

from dsched.contracts.store.bounds import MAX_BATCH
from dsched.engine.leader.abilities import Abilities
from dsched.engine.leader.assignment import why_nobody
from dsched.engine.leader.lists import ListedRun
from dsched.model import Task, TaskStatus, Worker, member_id, need_of, step_of_name
from dsched.model.workflow import MAX_MEMBERS
from dsched.planning.runs import member_spec

# Members that one decision lets off or gives up. The line and the cancel of each go in one call.
MOST_AT_ONCE = MAX_BATCH // 4


class Reads(Protocol):
    """What is asked of a store."""

    async def get(self, ids: Sequence[str], *, full: bool = False) -> tuple[Task | None, ...]:
        """Tasks by id."""
        ...

    async def workers(self) -> tuple[Worker, ...]:
        """All registered workers."""
        ...


@attrs.frozen(kw_only=True)
class Gone:
    """Members that wait for a worker which has left: ``left`` those that never began, ``lost``
    those that did."""

    left: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()


NOBODY_GONE = Gone()


class Eligible:
    """Looks at the workers, at most once for all that is decided together (`look_anew`)."""

    def __init__(self, store: Reads, abilities: Abilities) -> None:
        self._store = store
        self._abilities = abilities
        self._workers: tuple[Worker, ...] | None = None

    def look_anew(self) -> None:
        """What was seen is no longer what is there."""
        self._workers = None

    async def count(self, run: ListedRun, step_id: str) -> None:
        """Tell the progress of a run which workers a step has members for, or why there are none.

        They are present, not draining, have the labels that are asked for and can run it. What
        only missed a beat is present, and so is one that is full: its member waits for it.
        """
        demand = _Demand.of(run, step_id)
        present = [one for one in await self._seen() if not (one.gone or one.draining)]
        found = tuple(one.id for one in present if self._fits(one, demand))
        room = run.progress.room(step_id)
        if len(found) > room:
            run.progress.refuse(
                step_id,
                f"{len(found)} are eligible, and the run has room for {max(0, room)} more of its "
                f"{MAX_MEMBERS} members: split it, or ask for labels that fewer have",
            )
        elif found:
            run.progress.offer(step_id, found)
        else:
            run.progress.nobody(step_id, why_nobody(demand.labels, demand.need, present))

    async def gone(self, run: ListedRun) -> Gone:
        """The members of a run that wait for a worker which has left: it is not registered, gone,
        or cannot run them any more. One that drains may come back, so that only what never began
        does not wait for it."""
        pins = run.progress.pins()
        if not pins:
            return NOBODY_GONE
        there = {one.id: one for one in await self._seen() if not one.gone}
        demands = {name: _Demand.of(run, name) for name in {step_of_name(one)[0] for one in pins}}
        fitting = {
            name: worker
            for name, pin in pins.items()
            if (worker := there.get(pin)) and self._fits(worker, demands[step_of_name(name)[0]])
        }
        stays = {name for name, worker in fitting.items() if not worker.draining}
        left: list[str] = []
        lost: list[str] = []
        for name, task in await self._read(run.id, [one for one in pins if one not in stays]):
            if task.status.terminal or task.status is TaskStatus.RUNNING:
                continue  # what runs is given up by its lease, or ends
            if not task.attempt:
                left.append(name)
            elif name not in fitting:
                lost.append(name)
        return Gone(left=tuple(left[:MOST_AT_ONCE]), lost=tuple(lost[:MOST_AT_ONCE]))

    def _fits(self, worker: Worker, demand: "_Demand") -> bool:
        return worker.matches(demand.labels) and self._abilities.runs(worker, demand.need)

    async def _seen(self) -> tuple[Worker, ...]:
        if self._workers is None:
            workers = await self._store.workers()
            await self._abilities.learn(workers)
            self._workers = workers
        return self._workers

    async def _read(self, run_id: str, names: Sequence[str]) -> list[tuple[str, Task]]:
        """Those of these members that are there."""
        found: list[tuple[str, Task]] = []
        for start in range(0, len(names), MAX_BATCH):
            some = names[start : start + MAX_BATCH]
            tasks = await self._store.get([member_id(run_id, name) for name in some])
            found += [(name, task) for name, task in zip(some, tasks, strict=True) if task]
        return found


@attrs.frozen
class _Demand:
    """What the members of a step demand of a worker."""

    labels: Mapping[str, str]
    need: str

    @classmethod
    def of(cls, run: ListedRun, step_id: str) -> "_Demand":
        spec = member_spec(run.spec, step_id, None, instant_ms=run.instant_ms)
        return cls(spec.required_labels, need_of(spec.executor, spec.payload))
