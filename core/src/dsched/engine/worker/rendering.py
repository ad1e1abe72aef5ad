"""The payload of a member, rendered for one attempt: what its references name is read now."""

from collections.abc import Mapping
from typing import Any
from zoneinfo import ZoneInfo

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
    TemplateError,
    from_ms,
    member_id,
    member_name,
    run_of,
)
from dsched.model.templates import has_templates, look_up, render

CODE = "template"
NEVER_BORN = "skipped"


async def rendered(task: Task, store: Store, runtime: Runtime) -> Task:
    """The task with its payload rendered; `TaskFailed` for good where a reference names nothing."""
    spec = task.spec
    if spec is None or spec.member is None or not has_templates(spec.payload):
        return task
    needs = await _needs(task, spec.member, store, runtime)
    scope = scope_of(task, spec.member, spec.labels, needs)
    try:
        payload = render(spec.payload, lambda path: look_up(scope, path))
    except TemplateError as error:
        raise TaskFailed(
            f"the payload cannot be rendered: {error}", CODE, retryable=False
        ) from None
    return attrs.evolve(task, spec=attrs.evolve(spec, payload=payload))


def scope_of(
    task: Task, member: Member, labels: Mapping[str, str], needs: Mapping[str, JsonValue]
) -> dict[str, JsonValue]:
    """What the references of a member's payload may name."""
    at = from_ms(member.instant_ms).astimezone(ZoneInfo(member.timezone))
    scope: dict[str, JsonValue] = {
        "fire": {
            "time": at.isoformat(timespec="milliseconds"),
            "date": at.date().isoformat(),
            "ms": member.instant_ms,
        },
        "task": {"id": task.id},
        "run": {"id": run_of(task.id)},
        "attempt": task.attempt,
        "labels": dict(labels),
        "needs": dict(needs),
    }
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
        ids = [member_id(run_id, member_name(step, index)) for index in indexes]
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
