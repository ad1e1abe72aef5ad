"""`add.submit(2, 3)`: a decorated function as something that can be submitted, typed."""

import inspect
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import (
    TYPE_CHECKING,
    Any,
    Generic,
    ParamSpec,
    Protocol,
    TypedDict,
    TypeVar,
    Unpack,
)

import attrs

from dsched.functions.at_hand import client_at_hand
from dsched.functions.handles import Submits, TaskHandle
from dsched.model import JsonValue, OnCrash, Retry, Span, TaskSpec, Wait
from dsched.wording import did_you_mean

if TYPE_CHECKING:
    from dsched.functions.registry import Function

LOCAL = "local"

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)
T_co = TypeVar("T_co", covariant=True)


class Defaults(TypedDict, total=False):
    """What `@dsched.task` may say of every task of its function."""

    timeout: Span
    retry: Retry
    priority: int


class Options(Defaults, total=False):
    """What one submission may say besides: fields of a task, when it starts, and through whom."""

    name: str
    start_deadline: Span
    on_crash: OnCrash | str
    max_crashes: int
    labels: Mapping[str, str]
    required_labels: Mapping[str, str]
    affinity_key: str
    limits: Sequence[str]
    owner: str
    task_id: str
    delay: Wait
    at: datetime | str
    client: Submits


_KNOWN = (*Options.__annotations__, *Defaults.__annotations__)
_OF_THE_CALL = ("task_id", "delay", "at")


class Submittable(Protocol[P, T_co]):
    """What a decorated function and its `options` have in common."""

    async def submit(self, *args: P.args, **kwargs: P.kwargs) -> TaskHandle[T_co]:
        """Run the function with these arguments on a worker; the handle of the task.

        Without a client of its `options` through the pod or connection of the running context;
        `NoClientError`. TypeError if the arguments do not fit.
        """
        ...

    def spec(self, *args: P.args, **kwargs: P.kwargs) -> TaskSpec:
        """The task that `submit` would create, for `submit` and `submit_many` of any client."""
        ...


class TaskFunction(Protocol[Q, R_co, P, T_co]):
    """A function as `@dsched.task` leaves it: a plain one, called as before, and submitted.

    ``P`` are its parameters without the context, ``T`` what it returns, awaited if it is async.
    """

    __name__: str
    __qualname__: str

    def __call__(self, *args: Q.args, **kwargs: Q.kwargs) -> R_co:
        """Call the function, here and now."""
        ...

    async def submit(self, *args: P.args, **kwargs: P.kwargs) -> TaskHandle[T_co]:
        """Run it on a worker; see `Submittable`."""
        ...

    def spec(self, *args: P.args, **kwargs: P.kwargs) -> TaskSpec:
        """The task that `submit` would create."""
        ...

    def options(self, **options: Unpack[Options]) -> Submittable[P, T_co]:
        """The same, submitted with ``delay``, ``at``, ``task_id``, ``priority``, ``client``, ..."""
        ...


@attrs.frozen
class Submitter(Generic[P, R]):
    """`Submittable` of a registered function, with options."""

    _function: "Function"
    _options: Options = attrs.field(factory=Options)

    async def submit(self, *args: P.args, **kwargs: P.kwargs) -> TaskHandle[R]:
        """See `Submittable`."""
        spec = self.spec(*args, **kwargs)
        client = self._options.get("client") or client_at_hand()
        made = await client.submit(spec, **self.call_options)
        # The handle of a client of the HTTP API is another class of the same shape.
        return made if isinstance(made, TaskHandle) else TaskHandle(made.id, client)

    @property
    def call_options(self) -> dict[str, Any]:
        """Those of the options that are no fields of the task: id, delay, instant."""
        chosen: dict[str, Any] = {**self._options}
        return {name: chosen[name] for name in _OF_THE_CALL if name in chosen}

    def spec(self, *args: P.args, **kwargs: P.kwargs) -> TaskSpec:
        """See `Submittable`."""
        payload: dict[str, JsonValue] = {"function": self._function.name}
        given = payload_args(self._function, args, kwargs)
        if given is not None:
            payload["args"] = given
        fields: dict[str, Any] = {
            name: value
            for name, value in {**self._function.defaults, **self._options}.items()
            if name not in (*_OF_THE_CALL, "client")
        }
        return TaskSpec(executor=LOCAL, payload=payload, **fields)

    def options(self, **options: Unpack[Options]) -> "Submitter[P, R]":
        """See `TaskFunction`."""
        for name in options:
            if name not in _KNOWN:
                raise TypeError(f"options: {name} is not known; {did_you_mean(name, _KNOWN)}")
        return Submitter(self._function, Options(**{**self._options, **options}))


def submits(function: "Function") -> dict[str, Any]:
    """The attributes that a decorated function gets."""
    submitter: Submitter[..., Any] = Submitter(function)
    return {"submit": submitter.submit, "spec": submitter.spec, "options": submitter.options}


def payload_args(
    function: "Function", args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> JsonValue:
    """The arguments of a call as a payload has them: a list, a mapping, or None for none.

    TypeError if they do not fit, or if no payload can say them: positional-only ones beside some
    that go by name alone.
    """
    bound = function.signature.bind(*args, **kwargs)
    if not bound.kwargs:
        return list(bound.args) or None
    by_position = [
        parameter.name
        for parameter in function.signature.parameters.values()
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.VAR_POSITIONAL)
        and parameter.name in bound.arguments
    ]
    if by_position:
        raise TypeError(
            f"{function.name}{function.signature} cannot be submitted with both: "
            f"{', '.join(by_position)} by position and {', '.join(bound.kwargs)} by name"
        )
    found: dict[str, JsonValue] = {}
    for name, value in bound.arguments.items():
        if function.signature.parameters[name].kind is inspect.Parameter.VAR_KEYWORD:
            found |= value
        else:
            found[name] = value
    return found
