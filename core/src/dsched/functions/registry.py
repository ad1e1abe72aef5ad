"""The registry behind `@dsched.task`: which Python functions may run, and how they are called."""

import inspect
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from enum import StrEnum
from typing import Any, Literal, Protocol, TypeAlias, TypeVar

import attrs

from dsched.contracts.executor import TaskFailed
from dsched.contracts.executor.context import ExecutionContext
from dsched.functions.decorating import Decorating
from dsched.functions.submitting import LOCAL, Defaults, submits
from dsched.model import InvalidIdError, JsonValue, TaskSpec, check_id
from dsched.wording import did_you_mean

MAX_CLOSE_NAMES = 3
MAX_NAMES_SHOWN = 20

F = TypeVar("F", bound=Callable[..., Any])
IsolationName: TypeAlias = Literal["async", "thread", "process"]


class Isolation(StrEnum):
    """Where a function runs: on the worker's loop, in a thread, or in a child process."""

    ASYNC = "async"
    THREAD = "thread"
    PROCESS = "process"


class FunctionError(ValueError):
    """A function that cannot be registered as asked; the message says why and what to do."""


class DuplicateFunctionError(FunctionError):
    """Two different functions ask for one name; the message names both places."""


class FunctionContext(ExecutionContext, Protocol):
    """What a function's `ctx` parameter receives.

    In a child process it is a stand-in with the same members; its logger's lines and its progress
    go to the worker.
    """

    @property
    def task_id(self) -> str:
        """The task this attempt belongs to."""

    @property
    def config_id(self) -> str | None:
        """The config of the task, or None for an ad-hoc submission."""

    @property
    def cancelled(self) -> bool:
        """True once the engine stops the attempt: cancelled, timed out, or taken from the worker.

        A thread cannot be stopped from outside: a long function in a thread should look here and
        return. An async function gets `asyncio.CancelledError` besides; a process is killed.
        """


_CONTEXT_TYPES: tuple[type, ...] = (ExecutionContext, FunctionContext)
_CONTEXT_TYPE_NAMES = frozenset(kind.__name__ for kind in _CONTEXT_TYPES)
_NAMED_KINDS = (
    inspect.Parameter.POSITIONAL_ONLY,
    inspect.Parameter.POSITIONAL_OR_KEYWORD,
    inspect.Parameter.KEYWORD_ONLY,
)


@attrs.frozen(kw_only=True)
class Function:
    """A registered function.

    ``signature`` is what a payload is bound to: the function's own without ``context_parameter``.
    ``defaults`` are timeout, retry and priority of its tasks that say nothing else.
    ``names`` are those that a mapping may give, ``needed`` those that it must; None where names
    alone do not tell (parameters by position only, or any number of them).
    """

    name: str
    isolation: Isolation
    call: Callable[..., Any]
    module: str
    qualname: str
    place: str
    full_signature: inspect.Signature
    signature: inspect.Signature
    context_parameter: str | None
    names: frozenset[str] | None
    needed: frozenset[str]
    defaults: Mapping[str, Any] = attrs.field(factory=dict, eq=False)

    @classmethod
    def of(cls, call: Callable[..., Any], name: str, isolation: Isolation) -> "Function":
        """Describe ``call``; the signature is taken once, here."""
        full = inspect.signature(call)
        context_parameter = _context_parameter(full, name)
        visible = [p for p in full.parameters.values() if p.name != context_parameter]
        return cls(
            name=name,
            isolation=isolation,
            call=call,
            module=call.__module__,
            qualname=call.__qualname__,
            place=place_of(call),
            full_signature=full,
            signature=full.replace(parameters=visible),
            context_parameter=context_parameter,
            names=_names(full, context_parameter),
            needed=frozenset(p.name for p in visible if p.default is p.empty),
        )

    @property
    def is_async(self) -> bool:
        """Whether the function is a coroutine function."""
        return inspect.iscoroutinefunction(self.call)

    def problems(self, args: JsonValue) -> list[str]:
        """What keeps ``args`` from being this function's arguments; empty when they fit.

        A mapping gives keyword arguments, a list positional ones, None none at all, anything
        else is the one positional argument.
        """
        if (
            self.names is not None
            and type(args) is dict
            and self.needed <= args.keys() <= self.names
        ):
            return []  # as of most calls
        if isinstance(args, Mapping):
            missing, extra = self._named_misfits(args)
        else:
            missing, extra = self._positional_misfits(_positional(args))
        found = []
        if missing:
            found.append(f"missing {_listed('argument', missing)}")
        if extra:
            found.append(f"unexpected {_listed('argument', extra)}")
        return found

    def arguments(
        self, args: JsonValue, context: ExecutionContext
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The positional and keyword arguments of the call, the context included if asked for.

        Raises `TaskFailed` with code ``payload``, never retryable, when ``args`` do not fit.
        """
        if args is None and not self.full_signature.parameters:
            # By far the most frequent call: to bind nothing would take as long as to bind
            # arguments.
            return (), {}
        if (
            self.names is not None
            and type(args) is dict
            and self.needed <= args.keys() <= self.names
        ):
            # As `bind` has it, which takes as long as all else that a task costs.
            named = (
                args
                if self.context_parameter is None
                else {**args, self.context_parameter: context}
            )
            return (), named
        try:
            bound = self._bound(args)
        except TypeError as error:
            problems = self.problems(args) or [str(error)]
            raise TaskFailed(
                f"args do not fit {self.name}{self.signature}: {'; '.join(problems)}",
                code="payload",
                retryable=False,
            ) from None
        if self.context_parameter is None:
            return bound.args, bound.kwargs
        values = {**bound.arguments, self.context_parameter: context}
        complete = inspect.BoundArguments(self.full_signature, OrderedDict(values))
        complete.apply_defaults()  # fills gaps, so that a context after a defaulted parameter fits
        return complete.args, complete.kwargs

    def _bound(self, args: JsonValue) -> inspect.BoundArguments:
        """``args`` bound to the signature; TypeError where they do not fit."""
        if not isinstance(args, Mapping):
            return self.signature.bind(*_positional(args))
        if self.context_parameter in args:
            raise TypeError(f"{self.context_parameter} is given by dsched")  # not into **kwargs
        return self.signature.bind(**args)

    def _named_misfits(self, args: Mapping[str, JsonValue]) -> tuple[list[str], list[str]]:
        parameters = self.signature.parameters.values()
        by_name = {p.name for p in parameters if p.kind in _NAMED_KINDS[1:]}
        required = [p.name for p in parameters if p.kind in _NAMED_KINDS and p.default is p.empty]
        positional_only = {p.name for p in parameters if p.kind is p.POSITIONAL_ONLY}
        missing = [name for name in required if name not in args or name in positional_only]
        takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters)
        extra = [
            name
            for name in args
            if name == self.context_parameter or (name not in by_name and not takes_any)
        ]
        return missing, extra

    def _positional_misfits(self, args: Sequence[JsonValue]) -> tuple[list[str], list[str]]:
        parameters = self.signature.parameters.values()
        by_position = [p for p in parameters if p.kind in _NAMED_KINDS[:2]]
        unfilled = by_position[len(args) :] + [p for p in parameters if p.kind is p.KEYWORD_ONLY]
        missing = [p.name for p in unfilled if p.default is p.empty]
        takes_any = any(p.kind is p.VAR_POSITIONAL for p in parameters)
        count = 0 if takes_any else max(0, len(args) - len(by_position))
        extra = [f"no. {len(by_position) + index + 1}" for index in range(count)]
        return missing, extra


class Registry(Decorating):
    """Functions by name. The global one is behind `dsched.task`; tests and embedders have
    theirs."""

    def __init__(self) -> None:
        self._functions: dict[str, Function] = {}

    def __len__(self) -> int:
        return len(self._functions)

    def __iter__(self) -> Iterator[Function]:
        return iter(list(self._functions.values()))

    def get(self, name: str) -> Function | None:
        """The function registered under ``name``, or None. Nothing is imported or evaluated."""
        return self._functions.get(name)

    def unknown(self, name: str) -> str:
        """The sentence that says ``name`` is not registered, with close names or the known ones."""
        known = sorted(self._functions)
        close = get_close_matches(name[:128], known, n=MAX_CLOSE_NAMES)
        if close:
            hint = f"did you mean {' or '.join(map(repr, close))}?"
        elif known:
            more = ", ..." if len(known) > MAX_NAMES_SHOWN else ""
            hint = f"registered are {', '.join(map(repr, known[:MAX_NAMES_SHOWN]))}{more}"
        else:
            hint = "none is registered: name the modules that use @dsched.task with --app"
        return f"no function named {name[:128]!r} is registered; {hint}"

    def _add(
        self, call: F, name: str | None, isolation: IsolationName | None, defaults: Defaults
    ) -> F:
        _check_callable(call)
        chosen = _check_name(call.__name__ if name is None else name, call)
        found = Function.of(call, chosen, _check_isolation(call, isolation))
        function = attrs.evolve(found, defaults=_check_defaults(call, defaults))
        other = self._functions.get(chosen)
        if other is not None and not is_same_function(other.call, call):
            raise DuplicateFunctionError(
                f"two functions are registered as {chosen!r}: {other.qualname} at {other.place} "
                f"and {function.qualname} at {function.place}; give one of them another name"
            )
        self._functions[chosen] = function
        if inspect.isfunction(call):  # a bound method has no place for what it can do besides
            vars(call).update(submits(function))
        return call


def _check_callable(call: Any) -> None:
    if not (inspect.isfunction(call) or inspect.ismethod(call)):
        raise FunctionError(
            f"@task takes a plain function, not {call!r}; wrap it in a function with `def`"
        )
    if inspect.isgeneratorfunction(call) or inspect.isasyncgenfunction(call):
        raise FunctionError(
            f"{call.__qualname__} at {place_of(call)} is a generator, so calling it runs nothing; "
            "return a value instead of yielding"
        )


def _check_name(name: Any, call: Callable[..., Any]) -> str:
    try:
        return check_id(name, "the function's name")
    except InvalidIdError as error:
        raise FunctionError(
            f"{call.__qualname__} at {place_of(call)}: {error}; name it with @task('name')"
        ) from error


def _check_isolation(call: Callable[..., Any], isolation: str | None) -> Isolation:
    is_async = inspect.iscoroutinefunction(call)
    if isolation is None:
        return Isolation.ASYNC if is_async else Isolation.THREAD
    try:
        chosen = Isolation(isolation)
    except ValueError as error:
        raise FunctionError(
            f"isolation={isolation!r} of {call.__qualname__} at {place_of(call)} is none of "
            f"{', '.join(repr(kind.value) for kind in Isolation)}"
        ) from error
    wrong = Isolation.THREAD if is_async else Isolation.ASYNC
    if chosen is wrong:
        kind, remedy = ("async", "async") if is_async else ("not async", "thread")
        raise FunctionError(
            f"{call.__qualname__} at {place_of(call)} is {kind}, so it cannot have "
            f"isolation={isolation!r}; use {remedy!r} or 'process'"
        )
    return chosen


def _check_defaults(call: Callable[..., Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    known = Defaults.__annotations__
    for name in defaults:
        if name not in known:
            raise FunctionError(
                f"@task on {call.__qualname__} at {place_of(call)}: {name} is not known; "
                f"{did_you_mean(name, [*known, 'isolation'])}"
            )
    try:
        TaskSpec(executor=LOCAL, **defaults)
    except (TypeError, ValueError) as error:
        raise FunctionError(f"@task on {call.__qualname__} at {place_of(call)}: {error}") from error
    return dict(defaults)


def _context_parameter(signature: inspect.Signature, name: str) -> str | None:
    found = [
        p.name
        for p in signature.parameters.values()
        if p.kind in _NAMED_KINDS and (p.name == "ctx" or _is_context_type(p.annotation))
    ]
    if len(found) > 1:
        raise FunctionError(
            f"function {name!r} asks for its context twice, as {' and '.join(found)}; keep one"
        )
    return found[0] if found else None


def _names(full: inspect.Signature, context_parameter: str | None) -> frozenset[str] | None:
    """What may be given by name, the context left out, if everything may be."""
    if any(p.kind not in _NAMED_KINDS[1:] for p in full.parameters.values()):
        return None
    return frozenset(full.parameters) - {context_parameter}


def _is_context_type(annotation: Any) -> bool:
    if isinstance(annotation, str):  # from __future__ import annotations
        return annotation.strip("'\"").rpartition(".")[2] in _CONTEXT_TYPE_NAMES
    return annotation in _CONTEXT_TYPES


def is_same_function(one: Callable[..., Any], other: Callable[..., Any]) -> bool:
    """Whether both are one function of one file, perhaps run as __main__ and imported besides."""
    if one.__qualname__ != other.__qualname__:
        return False
    return one.__module__ == other.__module__ or _file(one) == _file(other)


def _file(call: Callable[..., Any]) -> str:
    return _code(call)[0]


def place_of(call: Callable[..., Any]) -> str:
    """File and line of a function."""
    file, line = _code(call)
    return f"{file}:{line}"


def _code(call: Callable[..., Any]) -> tuple[str, int]:
    code = getattr(inspect.unwrap(call), "__code__", None)
    # A decorator may wrap an object without code of its own, such as a partial.
    return (code.co_filename, code.co_firstlineno) if code else (call.__module__, 0)


def _positional(args: JsonValue) -> Sequence[JsonValue]:
    if args is None:
        return ()
    if isinstance(args, list | tuple):
        return args
    return (args,)


def _listed(word: str, names: Sequence[str]) -> str:
    shown = ", ".join(name if name.startswith("no. ") else repr(name) for name in names[:10])
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    return f"{word}{'s' if len(names) > 1 else ''} {shown}{more}"


REGISTRY = Registry()
"""The global registry, filled by `dsched.task`."""

task = REGISTRY.task
