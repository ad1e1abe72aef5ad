"""A payload with references, rendered for one attempt: what they name is read now."""

from collections.abc import Mapping, Sequence

import attrs

from dsched.contracts.executor import TaskFailed
from dsched.contracts.store import Store
from dsched.contracts.store.bounds import MAX_BATCH
from dsched.engine.needs import read_needs
from dsched.engine.runtime import Runtime
from dsched.engine.store_calls import until_answered
from dsched.model import JsonValue, Member, Task, TaskSpec, TemplateError, run_of
from dsched.model.params import fire_of, resolved_values
from dsched.model.templates import has_templates, look_up, render

CODE = "template"


async def rendered(task: Task, store: Store, runtime: Runtime) -> Task:
    """The task with its payload rendered; `TaskFailed` for good where a reference names nothing."""
    spec = task.spec
    if spec is None or not has_templates(spec.payload):
        return task
    member = spec.member
    needs = {} if member is None else await _needs(task, member, store, runtime)
    try:
        scope = scope_of(task, spec, needs)
        payload = render(spec.payload, lambda path: look_up(scope, path))
    except TemplateError as error:
        raise TaskFailed(
            f"the payload cannot be rendered: {error}", CODE, retryable=False
        ) from None
    # What was put in is no template, whatever it looks like.
    plain = attrs.evolve(spec, payload=payload, template=False, param_values={}, timezone="UTC")
    return attrs.evolve(task, spec=plain)


def scope_of(task: Task, spec: TaskSpec, needs: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """What the references of a payload may name; `TemplateError`."""
    member = spec.member
    instant_ms = task.nominal_ms if member is None else member.instant_ms
    zone = spec.timezone if member is None else member.timezone
    scope: dict[str, JsonValue] = {
        "fire": fire_of(instant_ms, zone),
        "params": resolved_values(spec.param_values, instant_ms, zone),
        "task": {"id": task.id},
        "attempt": task.attempt,
        "labels": dict(spec.labels),
    }
    if member is not None:
        scope |= {"run": {"id": run_of(task.id)}, "needs": dict(needs)}
        if member.index is not None:
            scope["shard"] = {"index": member.index, "total": member.total}
            scope["item"] = member.item
    return scope


async def _needs(
    task: Task, member: Member, store: Store, runtime: Runtime
) -> dict[str, JsonValue]:
    """Of each step that is referred to: data, code and status."""

    async def get(ids: Sequence[str]) -> Sequence[Task | None]:
        what = f"task {task.id}"
        return await until_answered(runtime, what, lambda: store.get(ids, full=True))

    return await read_needs(member, run_of(task.id) or "", get, at_once=MAX_BATCH)
