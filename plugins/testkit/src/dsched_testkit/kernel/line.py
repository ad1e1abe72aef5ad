"""The line between a process and its store, and the rules by which tests break it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import attrs

from dsched.contracts.store import Store
from dsched.contracts.store.outcomes import StoreUnavailableError

Proceed = Callable[[], Awaitable[Any]]
Rule = Callable[[str, str, Proceed], Awaitable[Any]]


@attrs.define
class Line:
    """What lies between one pod and the store. ``rule`` (handle, step, proceed) may break it."""

    rule: Rule | None = None

    def cut(self) -> None:
        """From now on nothing gets through: the process is dead to the store."""
        self.rule = unreachable

    def heal(self) -> None:
        """All is well again."""
        self.rule = None

    def ruled(self, handle: str, step: str, proceed: Proceed) -> Proceed:
        """One call, by the rule that there is now."""
        rule = self.rule
        return proceed if rule is None else lambda: rule(handle, step, proceed)

    def over(self, inner: Store, handle: str, call: Rule | None = None) -> Store:
        """``inner`` as seen through this line, by the part of the pod named ``handle``.

        ``call`` makes each call instead of the line itself; it may ask the line for its rule.
        """
        linked: Store = _LINKED(inner, self, handle, call or self._call)
        return linked

    async def _call(self, handle: str, step: str, proceed: Proceed) -> Any:
        return await self.ruled(handle, step, proceed)()


async def unreachable(handle: str, step: str, proceed: Proceed) -> Any:  # noqa: ARG001
    """The rule of a store that cannot be reached."""
    await asyncio.sleep(0)
    raise StoreUnavailableError("the line is cut", maybe_applied=False)


async def never(handle: str, step: str, proceed: Proceed) -> Any:  # noqa: ARG001
    """The rule of a store that takes a call and never answers it."""
    return await asyncio.get_running_loop().create_future()


def only(rule: Rule, *, handles: set[str] | None = None, steps: set[str] | None = None) -> Rule:
    """``rule`` for these handles and steps alone; the rest gets through."""

    async def chosen(handle: str, step: str, proceed: Proceed) -> Any:
        if (handles is None or handle in handles) and (steps is None or step in steps):
            return await rule(handle, step, proceed)
        return await proceed()

    return chosen


def first(times: int, rule: Rule) -> Rule:
    """``rule`` for the first calls that reach it; the later ones get through."""
    left = times

    async def limited(handle: str, step: str, proceed: Proceed) -> Any:
        nonlocal left
        if left <= 0:
            return await proceed()
        left -= 1
        return await rule(handle, step, proceed)

    return limited


async def lost_reply(handle: str, step: str, proceed: Proceed) -> Any:  # noqa: ARG001
    """The step happens, and its answer is lost."""
    await proceed()
    raise StoreUnavailableError("the reply was lost", maybe_applied=True)


def _linked(step: str) -> Callable[..., Awaitable[Any]]:
    async def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        async def proceed() -> Any:
            return await getattr(self.inner, step)(*args, **kwargs)

        return await self.call(self.handle, step, proceed)

    return call


def _init(self: Any, inner: Store, line: Line, handle: str, call: Rule) -> None:
    self.inner, self.line, self.handle, self.call = inner, line, handle, call


_LINKED: Any = type(
    "LinkedStore",
    (Store,),
    {"__init__": _init, **{step: _linked(step) for step in Store.__abstractmethods__}},
)
