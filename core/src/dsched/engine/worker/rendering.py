"""A payload with references, rendered for one attempt: what they name is read now."""

from collections.abc import Mapping
from typing import Any

import attrs

from dsched.contracts.executor import TaskFailed
from dsched.contracts.store import Store
from dsched.contracts.store.bounds import MAX_BATCH
from dsched.engine.runtime import Runtime
from dsched.engine.store_calls import until_answered
from dsched.model import (
    JsonValue,
    Member,
    Task,
    TaskSpec,
    TemplateError,
    member_id,
    member_name,
    run_of,
)
from dsched.model.params import fire_of, resolved_values
from dsched.model.templates import has_templates, look_up, render

CODE = "template"
NEVER_BORN = "skipped"


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
    return scope


async def _needs(
    task: Task, member: Member, store: Store, runtime: Runtime
) -> dict[str, JsonValue]:
    """Of each step that is referred to: data, code and status, as lists where it has shards."""
    run_id = run_of(task.id) or ""
    found: dict[str, JsonValue] = {}
    for step, shards in member.needs.items():
        indexes: list[int | None] = [*range(shards)] if shards else [None]
        ids = [
            member_id(member.run_of_need(step, index) or run_id, member_name(step, index))
            for index in indexes
        ]
        ended: list[Task | None] = []
        for start in range(0, len(ids), MAX_BATCH):
            batch = ids[start : start + MAX_BATCH]
            ended += await until_answered(
                runtime,
                f"task {task.id}",
                lambda: store.get(batch, full=True),  # noqa: B023
            )
        facts = [_facts(one) for one in ended]
        found[step] = _together(facts) if shards else facts[0]
    return found


def _facts(task: Task | None) -> dict[str, Any]:
    if task is None:
        return {"status": NEVER_BORN}
    result = task.result
    if result is None:
        return {"status": task.status.value}
    return {"status": task.status.value, "code": result.code, "data": result.data}


def _together(facts: list[dict[str, Any]]) -> dict[str, Any]:
    """In the order of the shards; what one of them lacks is nothing in its place."""
    return {name: [one.get(name) for one in facts] for name in ("status", "code", "data")}
