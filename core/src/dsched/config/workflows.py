"""Workflows in a task file: steps, or shards, with what may be said of them; and back again."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from enum import Enum
from typing import Any

import attrs

from dsched.config.durations import format_duration, parse_duration
from dsched.config.settings import TaskSettings
from dsched.config.structuring import Flaw, FlawedError, structure, unknown_keys
from dsched.model import WORKFLOW, InvalidConfigError, JsonValue, RetryPolicy, Step, Workflow

# What a task file says of a workflow, at the top of a task.
KEYS = frozenset({"steps", "shards", "max_parallel", "fail_fast", "run_timeout"})
_STEP_KEYS = frozenset(field.name for field in attrs.fields(Step)) - {"id"}
_RETRY = ("max_retries", "retry_delay", "backoff_rate")

# Fills in executor and type of a step, and says what is wrong with its payload.
JudgeStep = Callable[[dict[str, Any], list[Flaw]], None]


def take_workflow(
    given: dict[str, Any], flaws: list[Flaw], *, judge: JudgeStep, defaults: TaskSettings
) -> bool:
    """Make a workflow of what a task says of one, under its field; whether it has steps.

    The keys are taken out of ``given``.
    """
    said = {key: given.pop(key) for key in sorted(KEYS & given.keys())}
    if not said.keys() & {"steps", "shards"}:
        reason = "is for what has steps or shards; give one of them, or remove it"
        flaws += [Flaw((key,), reason) for key in said]
        return False
    steps = _steps(said.pop("steps", None), flaws, judge, defaults)
    timeout = _timeout(said.pop("run_timeout", None), flaws)
    if given.get("params") is not None:
        said["params"] = given.pop("params")
    if steps is not None:
        for key in ("executor", "payload", "type"):
            if given.pop(key, None) is not None:
                flaws.append(Flaw((key,), "belongs to each of the steps, where there are steps"))
        given["executor"] = given["type"] = WORKFLOW
    if not flaws:
        try:
            given["workflow"] = Workflow(steps=steps or (), timeout=timeout, **said)
        except InvalidConfigError as error:
            flaws.append(Flaw(tuple(error.field.split(".")), error.reason))
    if "workflow" not in given and steps is not None:
        # So that the rest is checked, too.
        given["workflow"] = Workflow(steps=[Step(id="stand-in", executor="stand-in")])
    return steps is not None


def _timeout(value: object, flaws: list[Flaw]) -> timedelta | None:
    if value is None or isinstance(value, timedelta):
        return value
    try:
        return parse_duration(value)
    except ValueError as error:
        flaws.append(Flaw(("run_timeout",), str(error)))
        return None


def _steps(
    raw: object, flaws: list[Flaw], judge: JudgeStep, defaults: TaskSettings
) -> list[Step] | None:
    if raw is None:
        return None
    if not isinstance(raw, Mapping) or not raw:
        reason = "must be a mapping from the id of each step to what it does"
        flaws.append(Flaw(("steps",), reason))
        return []
    steps = []
    for step_id, body in raw.items():
        try:
            steps.append(_step(str(step_id), body, judge, defaults))
        except FlawedError as error:
            flaws += [flaw.below(("steps", str(step_id))) for flaw in error.flaws]
    return steps


def _step(step_id: str, body: object, judge: JudgeStep, defaults: TaskSettings) -> Step:
    """One step; raises `FlawedError` with everything that is wrong with it."""
    if not isinstance(body, Mapping):
        raise FlawedError([Flaw((), "must be a mapping with the keys of a step, such as executor")])
    flaws = unknown_keys(body, _STEP_KEYS)
    given = {key: value for key, value in body.items() if key in _STEP_KEYS}
    judge(given, flaws)
    retry = given.get("retry")
    if isinstance(retry, Mapping):
        given["retry"] = {name: getattr(defaults.retry, name) for name in _RETRY} | dict(retry)
    step = None
    try:
        step = structure(
            Step, {**given, "id": step_id}, placeholders={"id": "stand-in", "executor": "stand-in"}
        )
    except FlawedError as error:
        flaws += error.flaws
    if flaws or step is None:
        raise FlawedError(flaws)
    return step


def workflow_entry(flow: Workflow) -> dict[str, JsonValue]:
    """The keys of a task file that make this workflow."""
    found: dict[str, JsonValue] = {}
    if flow.steps:
        found["steps"] = {step.id: _step_entry(step) for step in flow.steps}
    for name in ("shards", "max_parallel"):
        if getattr(flow, name) is not None:
            found[name] = getattr(flow, name)
    if flow.fail_fast:
        found["fail_fast"] = True
    if flow.timeout is not None:
        found["run_timeout"] = format_duration(flow.timeout)
    if flow.params:
        found["params"] = {name: one.entry() for name, one in flow.params.items()}
    return found


def _step_entry(step: Step) -> dict[str, JsonValue]:
    found: dict[str, JsonValue] = {}
    for field in attrs.fields(Step):
        value = getattr(step, field.name)
        if field.name == "id" or (value == field.default and field.name != "executor"):
            continue
        found[field.name] = value if field.name in ("payload", "for_each") else _plain(value)
    return found


def _plain(value: Any) -> JsonValue:
    if isinstance(value, timedelta):
        return format_duration(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, RetryPolicy):
        return {one.name: _plain(getattr(value, one.name)) for one in attrs.fields(RetryPolicy)}
    if isinstance(value, Mapping):
        return dict(value)
    return list(value) if isinstance(value, tuple) else value
