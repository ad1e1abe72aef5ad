"""The snapshot of a member: what its step says, and its config for the rest."""

from collections.abc import Mapping
from typing import Any

import attrs

from dsched.model import JsonValue, Member, Step, TaskSpec
from dsched.model.templates import references

# What a step may leave to its config.
_INHERITED = ("timeout", "retry", "on_crash", "priority", "labels", "required_labels")

_NOT_OF_MEMBERS: Mapping[str, Any] = {"workflow": None, "resumes": None, "start_deadline": None}


def member_spec(spec: TaskSpec, step_id: str, index: int | None, *, instant_ms: int) -> TaskSpec:
    """What a member of a run runs; ``spec`` is the snapshot of the run."""
    flow = spec.workflow
    if flow is None:
        raise ValueError("only a run has members")
    step = flow.step(step_id)
    payload = spec.payload if step is None else step.payload
    values = _named(spec.param_values, payload)
    if step is None:
        member = Member(
            step=step_id,
            index=index,
            total=flow.shards,
            instant_ms=instant_ms,
            timezone=flow.timezone,
        )
        return attrs.evolve(spec, **_NOT_OF_MEMBERS, member=member, param_values=values)
    needs = _referred(step, {one.id: one.shards or 0 for one in flow.steps})
    taken = () if spec.resumes is None else spec.resumes.taken
    member = Member(
        step=step_id,
        index=index,
        total=step.shards,
        instant_ms=instant_ms,
        timezone=flow.timezone,
        needs=needs,
        taken=tuple(one for one in taken if one.step in needs),
    )
    return attrs.evolve(
        spec,
        executor=step.executor,
        payload=step.payload,
        type=step.type,
        member=member,
        param_values=values,
        **_NOT_OF_MEMBERS,
        **_own(step),
    )


def _named(values: Mapping[str, JsonValue], payload: JsonValue) -> Mapping[str, JsonValue]:
    """Those of the params that a payload refers to."""
    if not values:
        return values
    named = {path[1] for path in references(payload) if path[0] == "params"}
    return {name: value for name, value in values.items() if name in named}


def _own(step: Step) -> Mapping[str, Any]:
    """What a step says itself of what it may leave to its config."""
    own = {name: getattr(step, name) for name in _INHERITED}
    return {name: value for name, value in own.items() if value is not None}


def _referred(step: Step, shards: Mapping[str, int]) -> dict[str, int]:
    """The steps whose results the payload refers to."""
    paths = references(step.payload)
    return {path[1]: shards[path[1]] for path in paths if path[0] == "needs"}
