"""Runs a leader's loop tick by tick: a tick that hangs, or three that fail, end the term."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from dsched.contracts.store.outcomes import FencedError, StoreUnavailableError
from dsched.engine.leader.term import Term, TermOverError

log = logging.getLogger("dsched.leader")

HANG_S = 10.0
MISSES_ALLOWED = 2


async def supervise(
    name: str,
    term: Term,
    tick: Callable[[], Awaitable[None]],
    pause: Callable[[], Awaitable[None]],
    *,
    hang_s: float,
    asks: bool = True,
) -> None:
    """Run ``tick`` and ``pause`` by turns until the term is over.

    A tick longer than ``hang_s`` seconds, a third failed tick in a row, or ``hang_s`` seconds
    without an answer from the store raise `TermOverError`: another pod may do better. Fencing ends
    the term at once. A tick that may end without a call to the store (not ``asks``) proves nothing
    about it.
    """
    misses = 0
    while True:
        term.check()
        try:
            async with asyncio.timeout(hang_s):
                await tick()
        except (FencedError, TermOverError):
            raise
        except TimeoutError:
            raise TermOverError(f"the {name} loop hung for {hang_s:g} s") from None
        except StoreUnavailableError as error:
            # The renewal notices an outage; only a pod that is cut off alone gets to the bound.
            if term.disturbed() > hang_s:
                raise TermOverError(f"the {name} loop cannot reach the store: {error}") from error
        except Exception as error:
            log.exception("the %s loop failed", name)
            misses += 1
            if misses > MISSES_ALLOWED:
                raise TermOverError(f"the {name} loop failed {misses} times: {error}") from error
        else:
            misses = 0
            if asks:
                term.answered()
        await pause()
