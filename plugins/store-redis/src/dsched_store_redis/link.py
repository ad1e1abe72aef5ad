"""Calls to the primary: a bounded pool, and resending of what certainly has not run."""

import asyncio
import random
import weakref
from collections.abc import Callable
from functools import lru_cache

from dsched.contracts.store.outcomes import StoreError, StoreReadOnlyError, StoreUnavailableError
from dsched_store_redis.checks import ServerChecks
from dsched_store_redis.connections import (
    FAULTS,
    Dialler,
    Line,
    Reply,
    close_all,
    pack,
    pack_arguments,
)
from dsched_store_redis.denials import Denials
from dsched_store_redis.endpoints import Address, Endpoints, redirection
from dsched_store_redis.errors import Verdict, code_of, is_reply, judge, to_raise
from dsched_store_redis.scripts import Script

# How often and how long a step that certainly has not run is sent again within one call.
_TRIES = 8
_PAUSE_S = 0.05
_MAX_PAUSE_S = 0.5
# An idle connection is asked for a sign of life before it carries a step.
_IDLE_S = 15.0

_PING = pack(b"PING")


class Link:
    """A pool of at most ``size`` connections to the primary. Callers wait for a free one."""

    def __init__(
        self,
        dialler: Dialler,
        endpoints: Endpoints,
        size: int,
        checks: ServerChecks | None = None,
    ) -> None:
        self._dialler = dialler
        self._endpoints = endpoints
        self._free = asyncio.Semaphore(size)
        self._idle: list[Line] = []
        self._open: weakref.WeakSet[Line] = weakref.WeakSet()
        self._newest: Address | None = None
        self._checks = checks
        self._denials = Denials()
        # Before, a refusal ends the start; afterwards it may pass, and the server is checked.
        self._started = False
        self.timeout_s = dialler.timeout_s

    def started(self) -> None:
        """The server was checked, and has run a step."""
        self._started = True
        if self._checks is not None and self._newest is not None:
            self._checks.passed(self._newest)

    async def command(self, *args: bytes) -> Reply:
        """A command that changes nothing, or nothing that a second time would change."""
        return (await self._call(pack(*args), 1))[0]

    async def run(
        self, script: Script, meta_key: bytes, args: list[bytes], *, replicas: int = 0
    ) -> list[Reply]:
        """Run a step, and wait until so many replicas have it too.

        ``args[0]`` is a nonce that the script hands back: an answer to anything else closes the
        connection. Returns what follows the nonce.
        """
        known = packed(script, meta_key, args)
        half_ms = b"%d" % int(self.timeout_s * 500)
        wait = pack(b"WAIT", b"%d" % replicas, half_ms) if replicas else b""
        count = 2 if replicas else 1
        replies = await self._call(
            known + wait,
            count,
            # A script's text is many times longer than a call: send it only if the server lacks it.
            in_full=lambda: pack(b"EVAL", script.text, *_keys(meta_key), *args) + wait,
            nonce=args[0],
            step=script,
        )
        if replicas and (not isinstance(replies[1], int) or replies[1] < replicas):
            raise StoreReadOnlyError(
                f"not {replicas} of the replicas acknowledged the step in time (durability strict, "
                f"redis.replicas {replicas}; answer: {replies[1]}): check that they are connected; "
                "the step is on the primary and may be repeated",
                maybe_applied=True,
                reason="replicas",
            )
        answer: list[Reply] = replies[0]
        return answer[1:]

    async def _call(
        self,
        data: bytes,
        replies: int,
        *,
        in_full: Callable[[], bytes] | None = None,
        nonce: bytes = b"",
        step: Script | None = None,
    ) -> list[Reply]:
        """Exchange, and once more for as long as it certainly has not run and the budget lasts."""
        tries = 0
        while True:
            tries += 1
            try:
                return await self._exchange(data, replies, nonce=nonce, step=step)
            except Failed as failed:
                verdict = failed.verdict
                if verdict is Verdict.RELOAD and in_full is not None:
                    data = in_full()
                elif verdict is Verdict.RELOCATE:
                    await self._relocate(failed)
                elif verdict in {Verdict.UNREACHABLE, Verdict.LOST}:
                    # It may be gone for good: the next time the primary is located anew.
                    self._endpoints.moved(None)
                    if self._checks is not None and self._newest is not None:
                        self._checks.forget(self._newest)
                elsewhere = verdict is Verdict.UNREACHABLE and tries <= self._endpoints.alternatives
                if tries >= _TRIES or not (verdict in _AGAIN or elsewhere):
                    raise failed.error from failed.__cause__
            if verdict is not Verdict.RELOAD:
                await asyncio.sleep(min(_MAX_PAUSE_S, _PAUSE_S * 2**tries) * random.random())

    async def _relocate(self, failed: "Failed") -> None:
        """Take note of another primary."""
        target = redirection(str(failed.__cause__)) if failed.code == "MOVED" else None
        self._endpoints.moved(target)
        await self._drop_idle()

    async def _exchange(
        self, data: bytes, replies: int, *, nonce: bytes, step: Script | None
    ) -> list[Reply]:
        async with self._free:
            line = await self._take()
            where = _text(line.address)
            if step is not None and not step.reads_only:
                self._refuse_writes(line)
            try:
                found = await line.exchange(data, replies, self.timeout_s)
            except FAULTS as error:
                raise self._failed(error, where, sent=line.sent) from error
            first = found[0]
            if nonce and isinstance(first, list) and (not first or first[0] != nonce):
                await line.close_now()
                raise self._failed(ConnectionError("an answer to another call"), where, sent=True)
            if isinstance(first, Exception) and code_of(first) in {"READONLY", "UNBLOCKED"}:
                await line.close_now()
            else:
                self._idle.append(line)
            if isinstance(first, Exception):
                failed = self._failed(first, where, sent=True)
                if failed.verdict is Verdict.DENIED and self._started and step is not None:
                    self._denials.step_refused(step.name, first, where)
                raise failed from first
            if step is not None:
                self._denials.step_done(step.name)
            return found

    def _refuse_writes(self, line: Line) -> None:
        """Raise if writes there might be lost although the profile promises to keep them."""
        error = self.write_refusal(line.address)
        if error is not None:
            self._idle.append(line)
            raise Failed(Verdict.FULL, "", error)

    def write_refusal(self, address: Address | None = None) -> StoreReadOnlyError | None:
        """Why nothing may be written to a server, by default the one dialled last; None if it
        may."""
        address = address or self._newest
        problem = None
        if self._checks is not None and address is not None:
            problem = self._checks.problem(address)
        if problem is None or address is None:
            return None
        text = f"Redis at {_text(address)}: nothing is written there: {problem}"
        return StoreReadOnlyError(text, maybe_applied=False)

    async def _take(self) -> Line:
        """An open connection: an idle one that gives signs of life, else a new one."""
        named = self._endpoints.current
        while self._idle:
            line = self._idle.pop()
            if line.address != self._newest or named not in (None, line.address):
                # The latest dial knows better where the primary is. Not every command would be
                # redirected from here: a wait for a wake-up is unblocked by its own server.
                await line.close_now()
            elif await self._alive(line):
                return line
        return await self.dial()

    async def _alive(self, line: Line) -> bool:
        if not line.usable:
            await line.close_now()
            return False
        if asyncio.get_running_loop().time() - line.used_at < _IDLE_S:
            return True
        try:
            await line.exchange(_PING, 1, self.timeout_s)
        except FAULTS:
            return False  # it carried no step
        return True

    async def dial(self) -> Line:
        """A new connection to the primary, outside the pool; the caller closes it."""
        try:
            address = await self._endpoints.locate()
        except StoreError as error:
            raise Failed(Verdict.UNREACHABLE, "", error) from error
        where = _text(address)
        presented = self._dialler.credentials()
        standing = self._denials.standing(presented)
        if standing is not None:
            raise self._failed(standing, where, sent=False) from standing
        try:
            line = await self._dialler.dial(address, presented)
        except FAULTS as error:
            failed = self._failed(error, where, sent=False)
            if failed.verdict is Verdict.DENIED and self._started:
                self._denials.refused(error, presented, where)
            if self._checks is not None:
                self._checks.forget(address)
            raise failed from error
        self._denials.admitted(where)
        await self._meet(line)
        if self._endpoints.current not in (None, address):
            await line.close_now()
            text = f"Redis at {where} is the primary no more"
            raise Failed(Verdict.RELOCATE, "", StoreUnavailableError(text, maybe_applied=False))
        self._newest = address
        self._open.add(line)
        return line

    async def _meet(self, line: Line) -> None:
        """Look at a server before the first step on it, and that it still is the primary."""
        checks = self._checks
        if checks is None or not self._started:
            return
        named = self._endpoints.current
        if named is None and checks.is_known(line.address):
            return  # there is no sentinel that could name another primary by now
        try:
            await self._look_at(line, checks)
        except Failed:
            await line.close_now()
            raise

    async def poll(self) -> None:
        """Check the server again; no call waits for the result. Raises `Failed`."""
        if self._checks is None:
            return
        async with self._free:
            line = await self._take()
            await self._look_at(line, self._checks)
            self._idle.append(line)

    async def _look_at(self, line: Line, checks: ServerChecks) -> None:
        try:
            await checks.poll(line)
        except StoreUnavailableError as error:
            await line.close_now()
            self._endpoints.moved(None)
            raise Failed(Verdict.RELOCATE, "", error) from error
        except FAULTS as error:
            await line.close_now()
            failed = self._failed(error, _text(line.address), sent=False)
            if failed.verdict is Verdict.RELOCATE:
                self.complain(str(error) if failed.code == "MOVED" else "")
            raise failed from error

    async def relocated(self, address: Address) -> None:
        """Another primary is named: leave every other server at once, whatever is under way there.

        What such a server still acknowledges is lost when it begins to follow.
        """
        for line in list(self._open):
            if line.address != address:
                await line.leave()

    def _failed(self, error: Exception, where: str, *, sent: bool) -> "Failed":
        verdict = judge(error, sent=sent and not is_reply(error))
        raised = to_raise(error, verdict, where, starting=not self._started)
        return Failed(verdict, code_of(error), raised)

    def complain(self, target_text: str = "") -> None:
        """Say that what was dialled is not the primary any more."""
        self._endpoints.moved(redirection(target_text))

    async def _drop_idle(self) -> None:
        idle, self._idle = self._idle, []
        for line in idle:
            await line.close_now()

    async def close(self) -> None:
        """Close every idle connection. No call may be under way."""
        self._denials.close()
        if self._checks is not None:
            self._checks.close()
        idle, self._idle = self._idle, []
        await close_all(idle)


def packed(script: Script, meta_key: bytes, args: list[bytes]) -> bytes:
    """A step as it is sent to a server that knows its script."""
    head, count = _head(script.sha, meta_key)
    return b"*%d\r\n%b%b" % (count + len(args), head, pack_arguments(args))


@lru_cache
def _head(sha: bytes, meta_key: bytes) -> tuple[bytes, int]:
    """What each call of a script begins with, and how many arguments that is."""
    args = (b"EVALSHA", sha, *_keys(meta_key))
    return pack_arguments(args), len(args)


def _keys(meta_key: bytes) -> tuple[bytes, ...]:
    # A server checks only the keys named here. While a cluster's slot is on the move the one that
    # never exists makes it refuse the whole step, at both ends, before its first line: else a step
    # would take keys that have left, or are still to come, for missing.
    return b"2", meta_key, meta_key + b":never"


_AGAIN = frozenset({Verdict.RELOAD, Verdict.RESEND, Verdict.RELOCATE})


class Failed(Exception):  # noqa: N818 - it carries a verdict to the one who resends
    """An exchange that failed: what it means, and what to raise if that is the end of it."""

    def __init__(self, verdict: Verdict, code: str, error: StoreError) -> None:
        super().__init__(str(error))
        self.verdict = verdict
        self.code = code
        self.error = error


def _text(address: Address) -> str:
    return f"{address[0]}:{address[1]}"
