"""The lists of steps with `for_each`: what they refer to is read once, before members are made."""

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

import attrs

from dsched.engine.needs import read_needs
from dsched.model import JsonValue, Step, Task, TaskSpec, TemplateError, Workflow
from dsched.model.for_each import items_of
from dsched.model.params import fire_of, resolved_values
from dsched.model.templates import look_up
from dsched.model.workflow import MAX_MEMBERS
from dsched.planning.runs import RunProgress, reader_of

KEPT = 50  # lists, of 256 KiB at most; what was dropped is read again
AT_ONCE = 10  # results in one call, of 1 MiB at most
# Of all results that one list refers to: a leader has to do for all runs.
MAX_READ_BYTES = 32 * 1024 * 1024


class Reads(Protocol):
    """What is asked of a store."""

    async def get(self, ids: Sequence[str], *, full: bool = False) -> tuple[Task | None, ...]:
        """Tasks by id."""
        ...


@attrs.frozen(kw_only=True)
class ListedRun:
    """A run with its snapshot, what is known of it, and its nominal instant."""

    id: str
    spec: TaskSpec
    progress: RunProgress
    instant_ms: int


class Lists:
    """Reads lists of runs. The same run and step give the same list, whoever reads it: all that it
    refers to has ended, and its params are those of the run."""

    def __init__(self, store: Reads) -> None:
        self._store = store
        self._kept: OrderedDict[tuple[str, str], Sequence[JsonValue]] = OrderedDict()

    async def count(self, run: ListedRun, step_id: str) -> None:
        """Tell the progress of a run how long the list of a step is, or why there is none."""
        try:
            items = await self.items(run, step_id)
            _check_room(step_id, len(items), run.progress)
        except TemplateError as error:
            run.progress.refuse(step_id, str(error))
        else:
            run.progress.count(step_id, len(items))

    async def items(self, run: ListedRun, step_id: str) -> Sequence[JsonValue]:
        """The items of a step; `TemplateError` where its list cannot be had."""
        key = (run.id, step_id)
        found = self._kept.pop(key, None)
        if found is None:
            flow = run.spec.workflow
            step = None if flow is None else flow.step(step_id)
            if flow is None or step is None:
                raise ValueError(f"{run.id} has no step {step_id}")
            scope = await self._scope(run, flow, step)
            found = items_of(step.for_each, lambda path: look_up(scope, path))
        self._kept[key] = found  # as the latest
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return found

    async def of_births(
        self, run: ListedRun, births: Iterable[tuple[str, int | None]]
    ) -> dict[str, Sequence[JsonValue]] | None:
        """The lists of the steps of which members are made; None where one of them cannot be had
        any more, which the progress is told."""
        found: dict[str, Sequence[JsonValue]] = {}
        flow = run.spec.workflow
        for step_id in dict.fromkeys(step_id for step_id, _ in births):
            step = None if flow is None else flow.step(step_id)
            if step is None or not step.listed:
                continue
            try:
                found[step_id] = await self.items(run, step_id)
            except TemplateError as error:
                run.progress.refuse(step_id, str(error))
                return None
        return found

    async def _scope(self, run: ListedRun, flow: Workflow, step: Step) -> Mapping[str, JsonValue]:
        parts = {name: one.parts for name, one in run.progress.steps.items()}
        at_ms = run.instant_ms
        reader = reader_of(run.spec, flow, step, step.for_each, instant_ms=at_ms, parts=parts)

        left = MAX_READ_BYTES

        async def get(ids: Sequence[str]) -> Sequence[Task | None]:
            nonlocal left
            found = await self._store.get(ids, full=True)
            left -= sum(len(one.result.data_text) for one in found if one and one.result)
            if left < 0:
                raise TemplateError(
                    f"the results that the list refers to have more than {MAX_READ_BYTES} bytes "
                    "together: hand on where things are, not what they are"
                )
            return found

        return {
            "fire": fire_of(at_ms, flow.timezone),
            "params": resolved_values(run.spec.param_values, at_ms, flow.timezone),
            "run": {"id": run.id},
            "needs": await read_needs(reader, run.id, get, at_once=AT_ONCE),
        }


def _check_room(step_id: str, items: int, progress: RunProgress) -> None:
    """A run has so many members at most; what was begun had room when it was."""
    room = progress.room(step_id)
    if items > room and not progress.steps[step_id].begun:
        raise TemplateError(
            f"the list has {items} items, and the run has room for {max(0, room)} more of its "
            f"{MAX_MEMBERS} members: split the list, or let an item stand for several"
        )
