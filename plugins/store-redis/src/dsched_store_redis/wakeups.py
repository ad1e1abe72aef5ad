"""Wake-ups: one connection for each waiter, which blocks only to be woken. The client does the
timing where it must be exact."""

import asyncio

import attrs

from dsched.contracts.store.outcomes import StoreUnavailableError
from dsched.contracts.store.timing import WAIT_SLACK_S
from dsched_store_redis.connections import FAULTS, Line, Reply, close_all, pack
from dsched_store_redis.errors import Verdict, code_of, judge, to_raise
from dsched_store_redis.link import Failed, Link

# Redis rounds short blocking timeouts up to its tick. So it blocks long, and where a wait must end
# in time, the client ends it.
_BLOCK_S = 5
_AGAIN_S = 0.001
_AGAIN_AT_MOST_S = 0.05
_REFUSALS = 8  # over 0.16 s: a command that was on its way has arrived by then
_ELSEWHERE_S = 0.1
# Unblocking takes about a millisecond. A wait begins it this much before its end, and so ends on
# time: what is due then must not wait for the wake-up.
_AHEAD_S = 0.002
# What Redis answers a client that was unblocked with ERROR; after a change of roles it differs.
_BY_US = "via CLIENT UNBLOCK"


class Wakeups:
    """The wake-ups that one handle waits for."""

    def __init__(self, link: Link, prefix: str) -> None:
        self._link = link
        self._prefix = prefix
        self._wakeups: dict[str, _Wakeup] = {}

    async def wait(self, who: str, timeout_s: float) -> bool:
        """Wait for a wake-up, at most ``timeout_s``; whether it came."""
        return (await self._wakeup(who).wait(timeout_s)).woken

    async def wait_and_run(self, who: str, timeout_s: float, call: bytes, nonce: bytes) -> "Heard":
        """The same, and let the server run a packed call as soon as it comes, or the wait is over.

        The call waits on the server behind the blocking command, so that it takes no round trip.
        It must be one that may run at any time, and more than once. Its answer begins with
        ``nonce``; any other is none.

        The server ends this wait, so that it takes no more than one message: after a few seconds
        at the latest, and up to one of its ticks late (a tenth of a second, by default), at most
        `WAIT_SLACK_S`.
        """
        return await self._wakeup(who).wait(timeout_s, call, nonce)

    def _wakeup(self, who: str) -> "_Wakeup":
        wakeup = self._wakeups.get(who)
        if wakeup is None:
            wakeup = self._wakeups[who] = _Wakeup(self._link, f"{self._prefix}bell:{who}".encode())
        return wakeup

    async def close(self) -> None:
        """Stop listening."""
        for wakeup in self._wakeups.values():
            await wakeup.close()
        self._wakeups.clear()


@attrs.frozen
class Heard:
    """Whether a wake-up came, and the answer to the call that was sent behind it, if there is
    one."""

    woken: bool
    answer: list[Reply] | None = None


class _Wakeup:
    """One waiter. After a wait its command is no longer blocked, so it takes no later wake-up."""

    def __init__(self, link: Link, key: bytes) -> None:
        self._link = link
        self._key = key
        self._line: Line | None = None
        self._client_id = b""
        self._listening: asyncio.Task[Heard] | None = None
        self._sharing = 0  # the waits for what is listening

    async def wait(self, timeout_s: float, call: bytes = b"", nonce: bytes = b"") -> Heard:
        loop = asyncio.get_running_loop()
        block_s: float = _BLOCK_S
        if call:
            block_s = timeout_s = min(_BLOCK_S, timeout_s)
        until = loop.time() + timeout_s
        ahead_s = -WAIT_SLACK_S if call else min(_AHEAD_S, timeout_s / 2)
        while True:
            listening, joined = self._listening, self._listening is not None
            if listening is None:
                listening = self._listening = asyncio.create_task(
                    self._listen(block_s, call, nonce), name=f"wake-up {self._key.decode()}"
                )
            self._sharing += 1
            try:
                await asyncio.wait({listening}, timeout=max(0.0, until - ahead_s - loop.time()))
                if not listening.done():
                    await self._unblock(listening)
            except asyncio.CancelledError:
                # The server may give a wake-up to a connection that was just closed. Another wait
                # that shares it would miss that wake-up.
                if self._sharing == 1:
                    await self._abandon(listening)
                raise
            finally:
                self._sharing -= 1
            if self._listening is listening:
                self._listening = None
            # Given up, perhaps by another that waited: no wake-up was heard.
            heard = Heard(woken=False) if listening.cancelled() else listening.result()
            if heard.woken or call:
                # The answer to another's call does not answer this one.
                return Heard(heard.woken) if joined else heard
            if loop.time() >= until - ahead_s:
                await asyncio.sleep(max(0.0, until - loop.time()))
                return Heard(woken=False)

    async def _unblock(self, listening: asyncio.Task[Heard]) -> None:
        """Make the server answer the command now: with a wake-up that came meanwhile, or with none.

        Where the server has no such command blocked, the command is given up.
        """
        loop = asyncio.get_running_loop()
        until, again_s = loop.time() + self._link.timeout_s, _AGAIN_S
        refusals = 0
        while not listening.done() and loop.time() < until:
            if self._client_id:
                # ERROR: unblocked as if by a timeout, a command that waits for the end of a CLIENT
                # PAUSE WRITE, which failovers use, aborts servers of Redis 6.2 and 7.0.
                unblock = (b"CLIENT", b"UNBLOCK", self._client_id, b"ERROR")
                refusals += not await self._link.command(*unblock)
            if refusals >= _REFUSALS:
                # Redis from 7.2 on and Valkey unblock no command that waits for the end of such a
                # pause. With its connection closed it will never take a wake-up.
                await self._abandon(listening)
                return
            # A command that was still on its way was not blocked yet: unblock it once more.
            await asyncio.wait({listening}, timeout=again_s)
            again_s = min(_AGAIN_AT_MOST_S, 2 * again_s)
        if not listening.done():
            await self._abandon(listening)
            raise StoreUnavailableError(
                "the connection that waits for a wake-up is dead", maybe_applied=False
            )

    async def _abandon(self, listening: asyncio.Task[Heard]) -> None:
        """Close the connection with the command on it."""
        listening.cancel()
        if self._listening is listening:
            self._listening = None
        await asyncio.gather(listening, return_exceptions=True)

    async def _listen(self, block_s: float, call: bytes, nonce: bytes) -> Heard:
        """Block once on the server, and run the call after it."""
        answer = None
        try:
            line = await self._open()
            wait = pack(b"BLPOP", self._key, b"%g" % block_s)
            wake, *replies = await line.exchange(
                wait + call, 2 if call else 1, block_s + self._link.timeout_s
            )
            if call:
                answer = _answer_to(nonce, replies[0])
                if answer is None:
                    # Refused, or answered twice: a call that waited for the end of a CLIENT PAUSE
                    # and was unblocked runs all the same. The next wait must see no answer of it.
                    await line.close_now()
            if isinstance(wake, Exception):
                raise wake
        except FAULTS as error:
            return Heard(woken=_BY_US not in str(error) and await self._complain(error))
        return Heard(wake is not None, answer)

    async def _open(self) -> Line:
        """The waiter's connection, a new one if need be."""
        line = self._line
        if line is not None:
            if line.usable:
                return line
            await line.close_now()
        self._client_id, self._line = b"", None
        try:
            self._line = line = await self._link.dial()
        except Failed as failed:
            raise failed.error from failed
        client_id = await line.command(b"CLIENT", b"ID", timeout_s=self._link.timeout_s)
        self._client_id = b"%d" % client_id
        return line

    async def _complain(self, error: Exception) -> bool:
        line, self._line = self._line, None
        where = "?" if line is None else f"{line.address[0]}:{line.address[1]}"
        if line is not None:
            await line.close_now()
        verdict = judge(error, sent=True)
        if verdict is Verdict.RELOCATE:
            self._link.complain(str(error) if code_of(error) == "MOVED" else "")
            await asyncio.sleep(_ELSEWHERE_S)  # dialling again at once would find the same server
            return False
        raise to_raise(error, verdict, where) from error

    async def close(self) -> None:
        if self._listening is not None:
            await self._abandon(self._listening)
        if self._line is not None:
            await close_all([self._line])
            self._line = None


def _answer_to(nonce: bytes, reply: Reply) -> list[Reply] | None:
    """What follows the nonce, if the reply is the answer to this very call."""
    return reply[1:] if isinstance(reply, list) and reply[:1] == [nonce] else None
