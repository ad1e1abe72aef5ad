"""`@dsched.task` as type checkers see it."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Protocol, TypeVar, Unpack, overload

from dsched.functions.submitting import Defaults, TaskFunction

if TYPE_CHECKING:
    from dsched.functions.registry import FunctionContext, IsolationName

P = ParamSpec("P")
R = TypeVar("R")


class Decorator(Protocol):
    """What `@dsched.task(...)` answers: it registers a function."""

    @overload
    def __call__(
        self, call: Callable[Concatenate["FunctionContext", P], Coroutine[Any, Any, R]], /
    ) -> TaskFunction[Concatenate["FunctionContext", P], Coroutine[Any, Any, R], P, R]: ...

    @overload
    def __call__(
        self, call: Callable[Concatenate["FunctionContext", P], R], /
    ) -> TaskFunction[Concatenate["FunctionContext", P], R, P, R]: ...

    @overload
    def __call__(
        self, call: Callable[P, Coroutine[Any, Any, R]], /
    ) -> TaskFunction[P, Coroutine[Any, Any, R], P, R]: ...

    @overload
    def __call__(self, call: Callable[P, R], /) -> TaskFunction[P, R, P, R]: ...


class Decorating(ABC):
    """Something whose `task` registers functions."""

    @overload
    def task(
        self, call: Callable[Concatenate["FunctionContext", P], Coroutine[Any, Any, R]], /
    ) -> TaskFunction[Concatenate["FunctionContext", P], Coroutine[Any, Any, R], P, R]: ...

    @overload
    def task(
        self, call: Callable[Concatenate["FunctionContext", P], R], /
    ) -> TaskFunction[Concatenate["FunctionContext", P], R, P, R]: ...

    @overload
    def task(
        self, call: Callable[P, Coroutine[Any, Any, R]], /
    ) -> TaskFunction[P, Coroutine[Any, Any, R], P, R]: ...

    @overload
    def task(self, call: Callable[P, R], /) -> TaskFunction[P, R, P, R]: ...

    @overload
    def task(
        self,
        name: str | None = None,
        *,
        isolation: "IsolationName | None" = None,
        **defaults: Unpack[Defaults],
    ) -> Decorator: ...

    def task(
        self,
        name: Any = None,
        *,
        isolation: "IsolationName | None" = None,
        **defaults: Unpack[Defaults],
    ) -> Any:
        """Register a plain sync or async function; it stays callable as before, and has `submit`.

        ``@task``, ``@task()`` take the function's own name. ``isolation`` defaults to ``async``
        for async functions and ``thread`` for others. ``timeout``, ``retry`` and ``priority`` are
        those of its tasks that say nothing else: submitted by `submit` or scheduled in code.
        Raises `FunctionError` for what cannot be a task, `DuplicateFunctionError` for a name
        another function has. The same function (equal module or file, and qualified name) may
        register again: a reload does.
        """
        if callable(name):
            return self._add(name, None, None, defaults)
        return lambda call: self._add(call, name, isolation, defaults)

    @abstractmethod
    def _add(
        self,
        call: Callable[..., Any],
        name: str | None,
        isolation: "IsolationName | None",
        defaults: Defaults,
    ) -> Any:
        """Register it."""
