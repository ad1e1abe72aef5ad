"""`@dsched.workflow`: a function that says, once, of which steps a workflow consists."""

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, TypedDict, TypeVar, Unpack, overload

import attrs

from dsched.functions.at_hand import client_at_hand
from dsched.functions.handles import Submits, TaskHandle
from dsched.functions.registry import Function, FunctionError, Registry, place_of
from dsched.functions.schedules import (
    FIELDS,
    SCHEDULES,
    TRIGGERS,
    Scheduled,
    ScheduleFields,
    Schedules,
)
from dsched.functions.submitting import LOCAL
from dsched.model import (
    WORKFLOW,
    InvalidConfigError,
    InvalidIdError,
    JsonValue,
    OnCrash,
    Retry,
    Span,
    Step,
    TaskSpec,
    Wait,
    When,
    Workflow,
    check_id,
)
from dsched.model.params import NO_PARAMS, bound
from dsched.model.shards import Shards
from dsched.wording import did_you_mean

F = TypeVar("F", bound=Callable[..., Any])


class FlowError(FunctionError):
    """A workflow that cannot be declared as asked; the message says where, why and what to do."""


class FlowFields(ScheduleFields, total=False):
    """What a workflow may say besides its steps: what a schedule may, and what is the run's."""

    run_timeout: timedelta | str
    fail_fast: bool


class StepFields(TypedDict, total=False):
    """What a step may say besides what it runs and needs: the keys of a task file."""

    when: When | str
    allow_failure: bool
    shards: Shards
    for_each: str | Sequence[JsonValue]
    max_parallel: int
    timeout: Span
    retry: Retry
    on_crash: OnCrash | str
    priority: int
    labels: Mapping[str, str]
    required_labels: Mapping[str, str]


_OF_THE_RUN = ("run_timeout", "fail_fast")
_FLOW_FIELDS = FIELDS | FlowFields.__annotations__.keys()
_STEP_FIELDS = frozenset(StepFields.__annotations__)
_OF_THE_SPEC = frozenset(field.name for field in attrs.fields(TaskSpec)) & FIELDS - {
    "timezone",  # which the workflow has
    "template",
}


class Flow:
    """The steps of a workflow while its function declares them."""

    def __init__(self, name: str, functions: Registry) -> None:
        self._name = name
        self._functions = functions
        self._entries: dict[str, dict[str, Any]] = {}
        self._steps_of: dict[Callable[..., Any], list[str]] = {}

    @property
    def entries(self) -> Mapping[str, Mapping[str, Any]]:
        """The steps by id, each as a task file has it."""
        return self._entries

    @overload
    def step(self, call: F, /) -> F: ...

    @overload
    def step(
        self,
        call: F,
        /,
        *,
        id: str | None = None,
        needs: Iterable[str | Callable[..., Any]] = (),
        args: JsonValue = None,
        **fields: Unpack[StepFields],
    ) -> F: ...

    @overload
    def step(
        self,
        *,
        id: str | None = None,
        needs: Iterable[str | Callable[..., Any]] = (),
        args: JsonValue = None,
        **fields: Unpack[StepFields],
    ) -> Callable[[F], F]: ...

    def step(  # type: ignore[misc]
        self,
        call: Any = None,
        /,
        *,
        id: str | None = None,  # noqa: A002 - as the key is called in a task file
        needs: Iterable[str | Callable[..., Any]] = (),
        args: JsonValue = None,
        **fields: Any,
    ) -> Any:
        """Make a step of a function, by decorating it or by handing it over; it stays as it is.

        One that `@dsched.task` has not registered is, as ``WORKFLOW.STEP``. ``id`` defaults to the
        function's name. ``needs`` are functions that are steps already, or ids of steps. ``args``
        are what it is called with, references such as ``${needs.load.data}`` included.
        """
        if call is None:
            return lambda one: self.step(one, id=id, needs=needs, args=args, **fields)
        if not (inspect.isfunction(call) or inspect.ismethod(call)):
            raise FlowError(
                f"workflow {self._name}: step takes a plain function, not {call!r}; what other "
                "executors run is flow.run(id, executor=..., payload=...)"
            )
        step_id = call.__name__ if id is None else id
        self._check(step_id, fields)
        function = self._registered(call, step_id)
        payload: dict[str, JsonValue] = {"function": function.name}
        if args is not None:
            payload["args"] = args
        own = {**function.defaults, **fields}
        self._add(step_id, needs, executor=LOCAL, payload=payload, fields=own)
        self._steps_of.setdefault(inspect.unwrap(call), []).append(step_id)
        return call

    def run(
        self,
        id: str,  # noqa: A002 - as the key is called in a task file
        /,
        *,
        executor: str,
        payload: JsonValue = None,
        needs: Iterable[str | Callable[..., Any]] = (),
        **fields: Unpack[StepFields],
    ) -> str:
        """Make a step of what any executor runs; its id, for the ``needs`` of others."""
        self._check(id, fields)
        self._add(id, needs, executor=executor, payload=payload, fields=fields)
        return id

    def _check(self, step_id: str, fields: Mapping[str, Any]) -> None:
        if step_id in self._entries:
            raise FlowError(
                f"workflow {self._name} has two steps {step_id!r}; give one of them another id"
            )
        for key in fields:
            if key not in _STEP_FIELDS:
                known = [*_STEP_FIELDS, "id", "needs", "args"]
                raise FlowError(
                    f"workflow {self._name}, step {step_id}: {key} is not a known key; "
                    f"{did_you_mean(key, known)}"
                )

    def _add(
        self,
        step_id: str,
        needs: Iterable[str | Callable[..., Any]],
        *,
        executor: str,
        payload: JsonValue,
        fields: Mapping[str, Any],
    ) -> None:
        entry: dict[str, Any] = {"executor": executor}
        if payload is not None:
            entry["payload"] = payload
        ids = [needs] if isinstance(needs, str) else [self._need(step_id, one) for one in needs]
        if ids:
            entry["needs"] = ids
        entry |= fields
        try:
            Step(id=step_id, **entry)
        except InvalidConfigError as error:
            raise FlowError(f"workflow {self._name}, step {step_id}: {error}") from error
        self._entries[step_id] = entry

    def _need(self, step_id: str, one: str | Callable[..., Any]) -> str:
        if isinstance(one, str):
            return one
        known = self._steps_of.get(inspect.unwrap(one), [])
        if len(known) == 1:
            return known[0]
        name = getattr(one, "__qualname__", repr(one))
        which = f"is {', '.join(known)}: say which, by id" if known else "is no step of it yet"
        raise FlowError(f"workflow {self._name}, step {step_id}: needs {name}, which {which}")

    def _registered(self, call: Callable[..., Any], step_id: str) -> Function:
        wanted = inspect.unwrap(call)
        for known in self._functions:
            if known.call is call or inspect.unwrap(known.call) is wanted:
                return known
        name = f"{self._name}.{step_id}"
        self._functions.task(name)(call)
        made = self._functions.get(name)
        assert made is not None  # noqa: S101 - it was registered a line above
        return made


@attrs.frozen
class WorkflowFunction:
    """A workflow as `@dsched.workflow` leaves the function that declared it.

    ``entry`` has its keys as a task file does, ``id`` and trigger included.
    """

    id: str
    entry: Mapping[str, Any]
    workflow: Workflow

    def spec(self, *, params: Mapping[str, JsonValue] | None = None, **options: Any) -> TaskSpec:
        """The run that `submit` would make, for `submit` and `submit_many` of any client."""
        own = {name: value for name, value in self.entry.items() if name in _OF_THE_SPEC}
        values = bound(self.workflow.params, params or {})
        given = {"param_values": values, **own, **options}
        return TaskSpec(executor=WORKFLOW, workflow=self.workflow, **given)

    async def submit(
        self,
        *,
        task_id: str | None = None,
        delay: Wait | None = None,
        at: datetime | str | None = None,
        client: Submits | None = None,
        params: Mapping[str, JsonValue] | None = None,
    ) -> TaskHandle[Any]:
        """Make a run of it, beside its schedule; its handle. `NoClientError` where no client is
        given and none at hand."""
        chosen = client or client_at_hand()
        made = await chosen.submit(self.spec(params=params), task_id=task_id, delay=delay, at=at)
        return made if isinstance(made, TaskHandle) else TaskHandle(made.id, chosen)


class Flows:
    """The workflows that code declares. The global one is behind `dsched.workflow`."""

    def __init__(self, schedules: Schedules) -> None:
        self._schedules = schedules

    @overload
    def workflow(self, declares: Callable[[Flow], Any], /) -> WorkflowFunction: ...

    @overload
    def workflow(
        self,
        cron_expr: str | None = None,
        /,
        *,
        id: str | None = None,
        **fields: Unpack[FlowFields],
    ) -> Callable[[Callable[[Flow], Any]], WorkflowFunction]: ...

    def workflow(
        self,
        cron_expr: Any = None,
        /,
        *,
        id: str | None = None,  # noqa: A002 - as the key is called in a task file
        **fields: Any,
    ) -> Any:
        """Declare a workflow by a function that is given a `Flow` and says its steps, at once.

        With a trigger (a cron expression first, or ``every``, ``fixed_delay``, ``at``) it is a
        config, which pods put as they put what `dsched.schedule` declares; without one it only
        runs when it is submitted. ``id`` defaults to the function's name. Raises `FlowError`.
        """
        if callable(cron_expr):
            return self._made(cron_expr, id, {})
        if cron_expr is not None:
            if "cron_expr" in fields:
                raise FlowError("@workflow got two cron expressions; keep one")
            fields["cron_expr"] = cron_expr
        return lambda declares: self._made(declares, id, fields)

    def _made(
        self, declares: Callable[[Flow], Any], given_id: str | None, fields: Mapping[str, Any]
    ) -> WorkflowFunction:
        if not inspect.isfunction(declares):
            raise FlowError(f"@workflow takes a plain function, not {declares!r}")
        if inspect.iscoroutinefunction(declares):
            raise FlowError(
                f"@workflow on {declares.__qualname__} at {place_of(declares)}: it only declares, "
                "so it is no async function; its steps may be"
            )
        name = given_id or declares.__name__
        _check(declares, name, fields)
        flow = Flow(name, self._schedules.functions)
        declares(flow)
        try:
            made = _workflow(flow, fields)
        except InvalidConfigError as error:
            raise FlowError(f"workflow {name} at {place_of(declares)}: {error}") from error
        entry = {**fields, "id": name, "steps": flow.entries}
        if any(fields.get(trigger) is not None for trigger in TRIGGERS):
            self._schedules.add(
                Scheduled(call=declares, config_id=name, args=None, fields={}, entry=entry)
            )
        return WorkflowFunction(name, entry, made)


def _workflow(flow: Flow, fields: Mapping[str, Any]) -> Workflow:
    own = {
        "timeout": fields.get("run_timeout"),
        "fail_fast": fields.get("fail_fast", False),
        "params": fields.get("params", NO_PARAMS),
    }
    steps = [Step(id=step_id, **entry) for step_id, entry in flow.entries.items()]
    return Workflow(steps=steps, timezone=fields.get("timezone", "UTC"), **own)


def _check(declares: Callable[..., Any], name: str, fields: Mapping[str, Any]) -> None:
    place = f"@workflow on {declares.__qualname__} at {place_of(declares)}"
    for key in fields:
        if key not in _FLOW_FIELDS:
            known = [*_FLOW_FIELDS, "id"]
            raise FlowError(f"{place}: {key} is not a known key; {did_you_mean(key, known)}")
    given = [one for one in TRIGGERS if fields.get(one) is not None]
    if len(given) > 1:
        raise FlowError(f"{place}: give at most one of {', '.join(TRIGGERS)}; found {given}")
    try:
        check_id(name)
    except InvalidIdError as error:
        raise FlowError(f"{place}: {error}; name it with id=") from error


workflow = Flows(SCHEDULES).workflow
