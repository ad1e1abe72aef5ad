"""The snapshot of a member: what its step says, and its config for the rest."""

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from dsched.model import JsonValue, Member, Step, TaskSpec, Workflow
from dsched.model.member import NO_PARTS
from dsched.model.pins import pinned_to
from dsched.model.shards import EACH_WORKER, Shards
from dsched.model.templates import references

# What a step may leave to its config.
_INHERITED = ("timeout", "retry", "on_crash", "priority", "labels", "required_labels")

_NOT_OF_MEMBERS: Mapping[str, Any] = {"workflow": None, "resumes": None, "start_deadline": None}
_NO_PARTS: Mapping[str, int] = {}


def member_spec(
    spec: TaskSpec,
    step_id: str,
    index: int | None,
    *,
    instant_ms: int,
    parts: Mapping[str, int] = _NO_PARTS,
    items: Sequence[JsonValue] = (),
    workers: Sequence[str] = (),
) -> TaskSpec:
    """What a member of a run runs; ``spec`` is the snapshot of the run. ``items`` is the list of
    its step, ``workers`` are those for which it has a member each; ``parts`` says of other steps
    with a list, or with a member for each worker, how many they had."""
    flow = spec.workflow
    if flow is None:
        raise ValueError("only a run has members")
    step = flow.step(step_id)
    payload = spec.payload if step is None else step.payload
    values = _named(spec.param_values, payload)
    total = _total(flow.shards if step is None else step.shards, workers)
    own = _own(spec, step, None if index is None or not workers else workers[index])
    if step is None:
        member = _shard(flow, index, total, instant_ms)
        return attrs.evolve(spec, **_NOT_OF_MEMBERS, member=member, param_values=values, **own)
    member = attrs.evolve(
        reader_of(spec, flow, step, step.payload, instant_ms=instant_ms, parts=parts),
        index=index,
        total=len(items) if step.listed else total,
        item=items[index] if step.listed and index is not None else None,
    )
    what = {"executor": step.executor, "payload": step.payload, "type": step.type}
    return attrs.evolve(spec, **_NOT_OF_MEMBERS, **what, member=member, param_values=values, **own)


def _total(shards: Shards | None, workers: Sequence[str]) -> int | None:
    """How many members there are beside one."""
    return len(workers) if shards == EACH_WORKER else shards


def _shard(flow: Workflow, index: int | None, total: int | None, instant_ms: int) -> Member:
    """Which part of a run without steps a member is."""
    return Member(
        step="",
        index=index,
        total=total,
        instant_ms=instant_ms,
        timezone=flow.timezone,
    )


def reader_of(
    spec: TaskSpec,
    flow: Workflow,
    step: Step,
    value: JsonValue,
    *,
    instant_ms: int,
    parts: Mapping[str, int],
) -> Member:
    """A member of a step as far as it says where to read what ``value`` refers to."""
    needs = _referred(value, {one.id: _parts(one, parts) for one in flow.steps})
    taken = () if spec.resumes is None else spec.resumes.taken
    return Member(
        step=step.id,
        instant_ms=instant_ms,
        timezone=flow.timezone,
        needs=needs,
        taken=tuple(one for one in taken if one.step in needs),
    )


def _parts(step: Step, parts: Mapping[str, int]) -> int:
    """Of how many parts the result of a step is, as a member keeps it."""
    if step.listed or step.shards == EACH_WORKER:
        return parts.get(step.id, 0) or NO_PARTS
    return step.shards or 0


def _named(values: Mapping[str, JsonValue], payload: JsonValue) -> Mapping[str, JsonValue]:
    """Those of the params that a payload refers to."""
    if not values:
        return values
    named = {path[1] for path in references(payload) if path[0] == "params"}
    return {name: value for name, value in values.items() if name in named}


def _own(spec: TaskSpec, step: Step | None, worker: str | None) -> dict[str, Any]:
    """What a step says itself of what it may leave to its config; and that a member is for a
    worker."""
    said = {} if step is None else {name: getattr(step, name) for name in _INHERITED}
    own = {name: value for name, value in said.items() if value is not None}
    if worker is not None:
        required = own.get("required_labels", spec.required_labels)
        own["required_labels"] = pinned_to(worker, required)
    return own


def _referred(value: JsonValue, parts: Mapping[str, int]) -> dict[str, int]:
    """The steps whose results a value refers to."""
    paths = references(value)
    return {path[1]: parts[path[1]] for path in paths if path[0] == "needs"}
