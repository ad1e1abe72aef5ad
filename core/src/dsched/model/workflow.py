"""`Workflow`: the steps, or shards, of a run, and what may be said of them."""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from enum import StrEnum
from graphlib import CycleError, TopologicalSorter
from types import MappingProxyType
from typing import Any

import attrs

from dsched.model import given
from dsched.model.fields import InvalidConfigError, check_labels, check_span, check_whole
from dsched.model.for_each import check_for_each, check_list_references, given_list
from dsched.model.json import JsonValue, check_json
from dsched.model.on_crash import OnCrash
from dsched.model.params import NO_PARAMS, Param, declared
from dsched.model.pins import check_required
from dsched.model.references import Names, check_payload
from dsched.model.retry import Retry, RetryPolicy, given_retry
from dsched.model.shards import EACH_WORKER, Shards, check_shards

# The executor of a run that has steps; no plugin may have this name.
WORKFLOW = "workflow"
MAX_STEPS = 100
MAX_MEMBERS = 2000
MAX_WORKFLOW_BYTES = 256 * 1024
_STEP_ID = re.compile(r"[a-z][a-z0-9_-]{0,39}")


class When(StrEnum):
    """When a step runs, as soon as all that it needs has ended."""

    SUCCESS = "success"  # nothing of it failed
    FAILURE = "failure"  # something of it failed
    ALWAYS = "always"


def _when(value: When | str) -> When:
    try:
        return When(value)
    except ValueError:
        raise InvalidConfigError(
            "when", f"must be one of {', '.join(When)}; got {value!r}"
        ) from None


def _names(value: Sequence[str]) -> tuple[str, ...]:
    if isinstance(value, str):
        raise InvalidConfigError("needs", f"must be a list of steps; write [{value}]")
    return tuple(value)


def _labels(value: Mapping[str, str] | None) -> Mapping[str, str] | None:
    return None if value is None else MappingProxyType(dict(value))


def _retry(value: Retry | None) -> RetryPolicy | None:
    return None if value is None else given_retry(value)


def _on_crash(value: OnCrash | str | None) -> OnCrash | None:
    try:
        return None if value is None else OnCrash(value)
    except ValueError:
        reason = f"must be one of {', '.join(OnCrash)}; got {value!r}"
        raise InvalidConfigError("on_crash", reason) from None


@attrs.frozen(kw_only=True)
class Step:
    """One step of a workflow: what to run, and after what.

    What is None is as the config of the workflow says. With ``allow_failure`` its failure fails
    neither the run nor what needs it. With ``shards`` it has so many members, or one for each
    worker, with ``for_each`` one for each item of a list, ``max_parallel`` at a time.
    """

    id: str
    executor: str
    payload: JsonValue = None
    type: str = ""
    needs: tuple[str, ...] = attrs.field(default=(), converter=_names)
    when: When = attrs.field(default=When.SUCCESS, converter=_when)
    allow_failure: bool = False
    shards: Shards | None = None
    for_each: JsonValue = attrs.field(default=None, converter=given_list)
    max_parallel: int | None = None
    timeout: timedelta | None = attrs.field(default=None, converter=given.span_or_none)
    retry: RetryPolicy | None = attrs.field(default=None, converter=_retry)
    on_crash: OnCrash | None = attrs.field(default=None, converter=_on_crash)
    priority: int | None = None
    labels: Mapping[str, str] | None = attrs.field(default=None, converter=_labels)
    required_labels: Mapping[str, str] | None = attrs.field(default=None, converter=_labels)

    def __attrs_post_init__(self) -> None:
        """Refuse what cannot be run, naming the field."""
        if not isinstance(self.id, str) or not _STEP_ID.fullmatch(self.id):
            raise InvalidConfigError(
                "id",
                f"{str(self.id)[:60]!r} is no id of a step: a small letter first, then at most 39 "
                "of a-z 0-9 _ -",
            )
        if not isinstance(self.executor, str) or not self.executor:
            raise InvalidConfigError("executor", "name an executor, such as http, grpc or local")
        if self.executor == WORKFLOW:
            raise InvalidConfigError("executor", "a step cannot be a workflow itself")
        if not isinstance(self.allow_failure, bool):
            raise InvalidConfigError(
                "allow_failure", f"must be true or false, got {self.allow_failure!r}"
            )
        check_shards(self.shards, self.max_parallel, listed=self.listed)
        if self.listed:
            check_for_each(self.for_each)
        if self.timeout is not None:
            check_span("timeout", self.timeout, timedelta(milliseconds=1))
        if self.priority is not None:
            check_whole("priority", self.priority, 0, 9)
        if self.labels is not None:
            check_labels("labels", self.labels)
        if self.required_labels is not None:
            check_required(self.required_labels)
        check_json(self.payload, "payload")

    @property
    def listed(self) -> bool:
        """Whether it has a member for each item of a list."""
        return self.for_each is not None

    @property
    def each_worker(self) -> bool:
        """Whether it has a member for each worker."""
        return self.shards == EACH_WORKER

    @property
    def members(self) -> int:
        """How many members it has, as far as its declaration says: none of a list, nor of each
        worker."""
        return 0 if self.listed else members_of(self.shards)


def members_of(shards: Shards | None) -> int:
    """How many members there are, as far as that is declared: of each worker none yet."""
    if shards is None:
        return 1
    return 0 if isinstance(shards, str) else shards


def _steps(value: Iterable[Step]) -> tuple[Step, ...]:
    return tuple(value)


@attrs.frozen(kw_only=True)
class Workflow:
    """What a run consists of: ``steps``, or ``shards`` of what its config runs.

    With ``fail_fast`` the first failure cancels what runs, and skips what waits for success. After
    ``timeout`` from its start the whole run is stopped; without one it has none. ``timezone`` is
    that of its config. ``params`` are what may be set of a run when it is made.
    """

    steps: tuple[Step, ...] = attrs.field(default=(), converter=_steps)
    shards: Shards | None = None
    max_parallel: int | None = None
    fail_fast: bool = False
    timeout: timedelta | None = attrs.field(default=None, converter=given.span_or_none)
    timezone: str = "UTC"
    params: Mapping[str, Param] = attrs.field(default=NO_PARAMS, converter=declared)

    def __attrs_post_init__(self) -> None:
        """Refuse a graph that cannot be run, naming step and field."""
        if not isinstance(self.fail_fast, bool):
            raise InvalidConfigError("fail_fast", f"must be true or false, got {self.fail_fast!r}")
        if self.timeout is not None:
            check_span("run_timeout", self.timeout, timedelta(seconds=1))
        if bool(self.steps) == (self.shards is not None):
            raise InvalidConfigError(
                "steps", "give steps, or shards; a step may have shards of its own"
            )
        check_shards(self.shards, self.max_parallel)
        if self.steps:
            _check_steps(self)

    @property
    def each_worker(self) -> bool:
        """Whether it has no steps, and a member for each worker."""
        return self.shards == EACH_WORKER

    def step(self, step_id: str) -> Step | None:
        """The step of an id."""
        return next((step for step in self.steps if step.id == step_id), None)


def check_composite(item: Any) -> None:
    """Refuse a config or a snapshot whose workflow does not fit to the rest of it."""
    flow = item.workflow
    if flow is None:
        if item.executor == WORKFLOW:
            raise InvalidConfigError("steps", "is missing: what is the workflow to run?")
        return
    if not isinstance(flow, Workflow):
        raise InvalidConfigError("workflow", f"must be a Workflow; got {type(flow).__name__}")
    if not flow.steps:
        if item.executor == WORKFLOW:
            raise InvalidConfigError("executor", "shards need an executor that runs them")
        if flow.each_worker and item.affinity_key is not None:
            raise InvalidConfigError(
                "affinity_key",
                "means nothing with shards: each_worker, where each member has its "
                "worker; remove it",
            )
        check_payload(item.payload, "payload", Names(params=flow.params, sharded=True))
    elif item.executor != WORKFLOW or item.payload is not None:
        field = "payload" if item.executor == WORKFLOW else "executor"
        raise InvalidConfigError(field, "belongs to each of the steps, where there are steps")


def _check_steps(flow: Workflow) -> None:
    if len(flow.steps) > MAX_STEPS:
        raise InvalidConfigError(
            "steps", f"has {len(flow.steps)}; at most {MAX_STEPS} are allowed: use shards, or split"
        )
    by_id = {step.id: step for step in flow.steps}
    if len(by_id) < len(flow.steps):
        ids = [step.id for step in flow.steps]
        twice = next(one for one in ids if ids.count(one) > 1)
        raise InvalidConfigError(f"steps.{twice}", "is there twice; ids of steps are unique")
    for step in flow.steps:
        _check_needs(step, by_id)
    if sum(step.members for step in flow.steps) > MAX_MEMBERS:
        raise InvalidConfigError("steps", f"have more than {MAX_MEMBERS} members together")
    _check_cycles(flow)
    needed = needed_by(flow)
    size = 0
    for step in flow.steps:
        where = f"steps.{step.id}.payload"
        size += len(check_json(step.payload, where).encode("utf-8", "surrogatepass"))
        names = Names(
            params=flow.params,
            needed=needed[step.id],
            labels=step.labels,
            sharded=step.shards is not None or step.listed,
            listed=step.listed,
        )
        check_payload(step.payload, where, names)
        if step.listed:
            size += len(check_json(step.for_each, where).encode("utf-8", "surrogatepass"))
            _check_list(step, flow, needed[step.id])
    if size > MAX_WORKFLOW_BYTES:
        raise InvalidConfigError(
            "steps",
            f"have payloads and lists of {size} bytes; at most {MAX_WORKFLOW_BYTES} are allowed",
        )


def _check_list(step: Step, flow: Workflow, needed: frozenset[str]) -> None:
    names = Names(params=flow.params, needed=needed)
    check_list_references(
        step.for_each, f"steps.{step.id}.for_each", names=names, params=flow.params
    )


def _check_needs(step: Step, by_id: Mapping[str, Step]) -> None:
    where = f"steps.{step.id}.needs"
    for need in step.needs:
        if need == step.id:
            raise InvalidConfigError(where, f"names the step {need!r} itself")
        if need not in by_id:
            known = ", ".join(one for one in by_id if one != step.id) or "no other"
            raise InvalidConfigError(
                where, f"no step is called {str(need)[:60]!r}; there are {known}"
            )
    if len(set(step.needs)) < len(step.needs):
        raise InvalidConfigError(where, "names a step twice")
    if step.when is When.FAILURE and not step.needs:
        raise InvalidConfigError(
            f"steps.{step.id}.when", "failure of what? Say with needs whose failure it is for"
        )


def _check_cycles(flow: Workflow) -> None:
    try:
        TopologicalSorter({step.id: step.needs for step in flow.steps}).prepare()
    except CycleError as error:
        # As graphlib has it each comes before what needs it, and the first is the last.
        path: list[str] = error.args[1]
        raise InvalidConfigError(
            f"steps.{path[0]}.needs",
            f"go in a circle: {' -> '.join(path)}; none of them could be the first to run",
        ) from None


def needed_by(flow: Workflow) -> dict[str, frozenset[str]]:
    """Of each step all that it needs, directly or through others."""
    graph = {step.id: step.needs for step in flow.steps}
    found: dict[str, frozenset[str]] = {}
    for step_id in TopologicalSorter(graph).static_order():
        direct = graph[step_id]
        found[step_id] = frozenset(direct).union(*(found[need] for need in direct))
    return found


def levels(flow: Workflow) -> dict[str, int]:
    """Of each step how many steps must have ended before it, one after the other."""
    graph = {step.id: step.needs for step in flow.steps}
    found: dict[str, int] = {}
    for step_id in TopologicalSorter(graph).static_order():
        found[step_id] = max((found[need] + 1 for need in graph[step_id]), default=0)
    return found
