"""The loop that hands the lines of all attempts to the store, in batches."""

import asyncio
import logging
import threading
from collections.abc import Iterable, Sequence

from dsched.contracts.store.bounds import MAX_BATCH
from dsched.contracts.store.outcomes import Outcome, StoreError, StoreUnavailableError
from dsched.contracts.store.tasklogs import MAX_LINES_A_CALL, LineBatch, NewLine, TaskLogs
from dsched.engine.runtime import Runtime
from dsched.engine.store_calls import answered_within
from dsched.engine.worker.attempts import Attempt
from dsched.engine.worker.log_lines import LineBuffer, Room

log = logging.getLogger("dsched.worker")

SEND_EVERY_S = 1.0
PAUSE_S = 0.1  # between two rounds, however fast lines come
# A call that takes longer counts as unanswered, and is repeated later: completions wait for it.
SEND_WITHIN_S = 2.0


class LineReporter:
    """Sends lines a second after the first one came, or at once when there are many.

    Nothing is sent, and nothing wakes, while no attempt logs. Belongs to one event loop; buffers
    are filled from any thread.
    """

    def __init__(self, store: TaskLogs, runtime: Runtime) -> None:
        self._store = store
        self._runtime = runtime
        self._room = Room()
        self._loop = asyncio.get_running_loop()
        self._home = threading.get_ident()
        self._lock = threading.Lock()
        self._opening = threading.Lock()
        self._filled: dict[tuple[str, str], LineBuffer] = {}
        self._some = asyncio.Event()
        self._many = asyncio.Event()
        self._sending = asyncio.Lock()
        self._silent = False

    def open(self, attempt: Attempt) -> LineBuffer:
        """The buffer of an attempt, from whatever thread; the same one every time."""
        with self._opening:
            if attempt.lines is None:
                attempt.lines = LineBuffer(
                    attempt.task.id, attempt.token, self._runtime.monotonic, self._room, self._note
                )
            return attempt.lines

    async def run(self) -> None:
        """Send until cancelled."""
        while True:
            await self._some.wait()
            await self._until_many()
            self._some.clear()
            self._many.clear()
            await self._send_all()
            await self._runtime.sleep(PAUSE_S)

    async def before_end(self, attempts: Iterable[Attempt]) -> None:
        """Send what these attempts have logged, in one call; what it cannot take is sent later.

        Their ends are reported next. The store takes lines after a completion too, but none after
        a release; and a client that follows the lines stops at the end of the task.
        """
        buffers = [a.lines for a in attempts if a.lines is not None and a.lines.waiting]
        if buffers:
            await self._send(buffers)

    async def settled(self) -> None:
        """One last try, for what has no answer yet."""
        await self._send_all()

    def _note(self, buffer: LineBuffer, many: bool) -> None:
        with self._lock:
            self._filled[buffer.task_id, buffer.token] = buffer
        if threading.get_ident() == self._home:
            self._wake(many)
        elif not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake, many)

    def _wake(self, many: bool) -> None:
        self._some.set()
        if many:
            self._many.set()

    async def _until_many(self) -> None:
        try:
            async with asyncio.timeout(SEND_EVERY_S):
                await self._many.wait()
        except TimeoutError:
            return

    async def _send_all(self) -> None:
        """Send what every buffer holds now, each once, in as many calls as that takes."""
        with self._lock:
            todo, self._filled = list(self._filled.values()), {}
        left = todo
        while left:
            taken = await self._send(left)
            if not taken:
                break
            left = [buffer for buffer in left if buffer not in taken]
        with self._lock:
            for buffer in todo:
                if buffer.waiting:
                    self._filled.setdefault((buffer.task_id, buffer.token), buffer)
            if self._filled:
                self._some.set()

    async def _send(self, buffers: Sequence[LineBuffer]) -> set[LineBuffer]:
        """One call with what it can take of these; the buffers in it, none if it had no answer.

        One call at a time: if a later portion of an attempt arrived first, the store would ignore
        the earlier one.
        """
        async with self._sending:
            batch = _portions(buffers)
            items = [
                LineBatch(task_id=buffer.task_id, token=buffer.token, lines=lines)
                for buffer, lines in batch
            ]
            try:
                async with answered_within(SEND_WITHIN_S):
                    outcomes = await self._store.append_lines(items)
            except StoreUnavailableError as error:
                if not self._silent:
                    log.info("lines of tasks wait: the store does not answer (%s)", error)
                self._silent = True
                return set()
            except StoreError:
                # Work goes on without its lines.
                log.exception("the store refuses lines of tasks; they are dropped")
                outcomes = (Outcome.STALE,) * len(batch)
            self._silent = False
            for (buffer, _), outcome in zip(batch, outcomes, strict=True):
                if outcome is Outcome.STALE:
                    buffer.close()  # its attempt was taken away
                else:
                    buffer.acknowledged()
            return {buffer for buffer, _ in batch}


_Batch = list[tuple[LineBuffer, tuple[NewLine, ...]]]


def _portions(buffers: Iterable[LineBuffer]) -> _Batch:
    """What one call can take of these: each task once, a bounded number of lines."""
    batch: _Batch = []
    tasks: set[str] = set()
    count = 0
    for buffer in buffers:
        if len(batch) == MAX_BATCH:
            break  # the others go with the next call
        if buffer.task_id in tasks:
            continue
        lines = buffer.portion()
        if batch and count + len(lines) > MAX_LINES_A_CALL:
            break
        count += len(lines)
        tasks.add(buffer.task_id)
        batch.append((buffer, lines))
    return batch
