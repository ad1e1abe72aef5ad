"""Handles: several of one process, batches, failures, and what is left when they are closed."""

import asyncio
import sqlite3
import threading
import time

import pytest

from dsched.contracts.store.outcomes import (
    FencedError,
    Outcome,
    StoreRefusedError,
    StoreUnavailableError,
)
from dsched.contracts.store.timing import ELECTION_WAKEUP, LEADER_WAKEUP
from dsched.contracts.store.working import Submission
from dsched.model import TaskSpec
from dsched_store_sqlite import connection, writer
from dsched_store_sqlite.wakeups import Listener, Wakeups


def _submission(task_id, size=0):
    return Submission(task_id=task_id, spec=TaskSpec(executor="local", payload="x" * size))


async def _submit(store, *task_ids):
    return await store.submit([_submission(task_id) for task_id in task_ids], by="test")


def _threads():
    return [one.name for one in threading.enumerate() if one.name.startswith("dsched-sqlite")]


async def _while_the_writer_is_busy(store, *steps):
    """Start steps while the writer is held up, so that they are ready together; their results."""
    entered, go_on = threading.Event(), threading.Event()

    def hold(step):
        entered.set()
        assert go_on.wait(10)

    held = asyncio.ensure_future(store._step(hold))
    await asyncio.to_thread(entered.wait, 10)
    waiting = [asyncio.ensure_future(step) for step in steps]
    await asyncio.sleep(0)  # each has handed its job over by then
    go_on.set()
    await held
    return await asyncio.gather(*waiting, return_exceptions=True)


async def test_closing_leaves_no_thread_and_no_companion_file(opened, tmp_path):
    async with opened() as store:
        await _submit(store, "a")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await store.wakeup("w1", 5.0)
        assert len(_threads()) == 2
    assert _threads() == []
    assert [path.name for path in tmp_path.iterdir()] == ["store.db"]


async def test_the_threads_live_until_the_last_handle_of_the_process_is_closed(opened):
    async with opened() as first:
        async with opened() as second:
            assert len(_threads()) == 2
            await _submit(second, "a")
        assert (await first.get(["a"]))[0].id == "a"
    assert _threads() == []


async def test_a_closed_handle_says_so(opened):
    async with opened() as store:
        pass
    with pytest.raises(StoreUnavailableError, match="closed") as refused:
        await store.now()
    assert refused.value.maybe_applied is False
    with pytest.raises(StoreUnavailableError, match="closed"):
        await store.wakeup("w1", 5.0)


async def test_closing_wakes_those_who_wait_for_a_wakeup(opened):
    async with opened() as store:
        waiting = asyncio.ensure_future(store.wakeup("w1", 30.0))
        await store.now()
    with pytest.raises(StoreUnavailableError, match="closed"):
        await waiting


async def test_a_listener_that_cannot_hear_says_so_to_those_who_wait(caplog):
    attempts = []

    def connect():
        attempts.append(None)
        raise sqlite3.OperationalError("disk I/O error")

    wakeups = Wakeups()
    listener = Listener(wakeups, connect, origin="me")
    listener.start_after(0)
    try:
        for _ in range(2):
            with pytest.raises(StoreUnavailableError, match="disk I/O error"):
                await wakeups.wait("w1", 10.0)
    finally:
        wakeups.close()
        listener.join(10)
    assert len(attempts) >= 2
    assert len(caplog.records) == 1, "said once, not at every look"


async def test_a_wakeup_that_nobody_here_waits_for_is_kept_within_a_bound():
    wakeups = Wakeups()
    wakeups.wake(f"w{number}" for number in range(5000))
    assert await wakeups.wait("w4999", 0.01) is True
    assert await wakeups.wait("w0", 0.01) is False


async def test_a_handle_in_another_thread_and_loop_shares_file_and_wakeups(opened):
    listening = threading.Event()
    heard = []

    async def other():
        async with opened() as store:
            wakeup = asyncio.ensure_future(store.wakeup(ELECTION_WAKEUP, 10.0))
            await store.now()
            listening.set()
            heard.append((await wakeup, await store.leader()))

    async with opened() as store:
        fence = (await store.acquire("pod", "token", 60_000)).fence
        thread = threading.Thread(target=lambda: asyncio.run(other()))
        thread.start()
        await asyncio.to_thread(listening.wait, 10)
        await store.resign(fence)
        await asyncio.to_thread(thread.join, 10)
    assert heard == [(True, None)]


async def test_handles_may_come_and_go_in_many_threads_at_once(opened):
    async def come_and_go(name):
        for number in range(15):
            async with opened() as store:
                assert await _submit(store, f"{name}-{number}") == (Outcome.OK,)

    names = [f"t{number}" for number in range(4)]
    # At any moment one may be the last to leave and another the first to come.
    await asyncio.gather(
        *(asyncio.to_thread(lambda name=name: asyncio.run(come_and_go(name))) for name in names)
    )
    assert _threads() == []
    async with opened() as store:
        found = await store.get([f"{name}-{number}" for name in names for number in range(15)])
    assert None not in found


async def test_steps_that_wait_together_are_committed_together(opened):
    async with opened() as store:
        seen = []
        await store._step(lambda step: step.db.set_trace_callback(seen.append))
        seen.clear()
        answers = await _while_the_writer_is_busy(
            store, *(_submit(store, f"t{number}") for number in range(20))
        )
        await store._step(lambda step: step.db.set_trace_callback(None))

    assert answers == [(Outcome.OK,)] * 20
    # The step that held the writer up, the twenty, and the one that ends the count, which may
    # have committed or not when it stopped the trace.
    assert seen.count("COMMIT") == 2


async def test_no_step_is_answered_before_it_is_committed(opened):
    async with opened() as store:
        submitting, answered = [], []

        def trace(statement):
            if statement == "COMMIT" and submitting:  # about to be, in the writer's thread
                time.sleep(0.05)  # long enough for the event loop to see an answer, if there is one
                answered.append(submitting[0].done())

        await store._step(lambda step: step.db.set_trace_callback(trace))
        await store.now()  # the step that began the trace is committed
        submitting.append(asyncio.ensure_future(_submit(store, "a")))
        await submitting[0]
        await store.now()
        await store._step(lambda step: step.db.set_trace_callback(None))
    assert answered[0] is False


async def test_a_wakeup_of_this_process_is_not_heard_again_from_the_file(opened):
    async with opened() as store:
        await _submit(store, "a")
        assert await store.wakeup(LEADER_WAKEUP, 1.0) is True
        assert await store.wakeup(LEADER_WAKEUP, 0.25) is False  # five looks at the file


@pytest.mark.parametrize(("synchronous", "level"), [("full", 2), ("normal", 1)])
async def test_the_writer_has_the_durability_that_was_asked_for(opened, synchronous, level):
    async with opened(synchronous) as store:
        pragmas = ("PRAGMA synchronous", "PRAGMA journal_mode")
        found = [
            await store._step(lambda step, text=text: step.db.execute(text).fetchone())
            for text in pragmas
        ]
    assert found == [(level,), ("wal",)]


class FailingCommit:
    """A connection whose next COMMIT fails, having been carried out or not."""

    def __init__(self, db, carried_out):
        self._db = db
        self._carried_out = carried_out
        self.armed = False

    def __getattr__(self, name):
        return getattr(self._db, name)

    def execute(self, statement, *arguments):
        if statement == "COMMIT" and self.armed:
            self.armed = False
            if self._carried_out:
                self._db.execute(statement)
            raise sqlite3.OperationalError("disk I/O error")
        return self._db.execute(statement, *arguments)


@pytest.mark.parametrize(("carried_out", "then"), [(False, Outcome.OK), (True, Outcome.DUP)])
async def test_a_failed_commit_may_have_been_applied_and_the_step_can_be_repeated(
    opened, monkeypatch, carried_out, then
):
    connections = []

    def connect(*arguments):
        connections.append(FailingCommit(connection.connect(*arguments), carried_out))
        return connections[-1]

    monkeypatch.setattr(writer, "connect", connect)
    async with opened() as store:
        connections[0].armed = True
        with pytest.raises(StoreUnavailableError, match="disk I/O error") as refused:
            await _submit(store, "a")
        assert refused.value.maybe_applied is True
        assert await _submit(store, "a") == (then,)
        assert len(connections) == 2, "a new connection after an error of the disk"


async def test_a_step_that_fails_leaves_nothing_behind_and_disturbs_no_other(opened):
    def write_and_break_down(step):
        step.db.execute("DELETE FROM task")
        step.meta.in_ready += 17
        step.to_wake.add("nobody")
        raise ZeroDivisionError

    async with opened() as store:
        answers = await _while_the_writer_is_busy(
            store,
            _submit(store, "a"),
            store._step(write_and_break_down),
            store.ready("no:such:fence", 0, 10),
            _submit(store, "b"),
        )
        assert answers[0] == answers[3] == (Outcome.OK,)
        assert isinstance(answers[1], ZeroDivisionError)
        assert isinstance(answers[2], FencedError)
        assert [task.id for task in await store.get(["a", "b"])] == ["a", "b"]
        assert (await store.counts()).by_home["ready"] == 2
        assert await store.wakeup("nobody", 0.01) is False


async def test_a_step_that_nobody_waits_for_any_more_is_not_run(opened):
    async with opened() as store:
        entered, go_on = threading.Event(), threading.Event()

        def hold(step):
            entered.set()
            assert go_on.wait(10)

        held = asyncio.ensure_future(store._step(hold))
        await asyncio.to_thread(entered.wait, 10)
        given_up = asyncio.ensure_future(_submit(store, "a"))
        await asyncio.sleep(0)
        given_up.cancel()
        await asyncio.gather(given_up, return_exceptions=True)
        go_on.set()
        await held
        assert await store.get(["a"]) == (None,)


async def test_a_file_that_stays_locked_is_unavailable_and_nothing_was_applied(
    opened, file, monkeypatch
):
    monkeypatch.setattr(connection, "BUSY_S", 0.1)
    async with opened() as store:
        other = sqlite3.connect(file, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailableError, match="locked") as refused:
            await _submit(store, "a")
        assert refused.value.maybe_applied is False
        other.execute("ROLLBACK")
        other.close()

        assert await store.get(["a"]) == (None,)
        assert await _submit(store, "a") == (Outcome.OK,)


async def test_a_short_lock_of_another_process_is_waited_for(opened, file):
    async with opened() as store:
        other = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
        other.execute("BEGIN IMMEDIATE")
        threading.Timer(0.3, lambda: other.execute("ROLLBACK")).start()
        assert await _submit(store, "a") == (Outcome.OK,)
        other.close()


async def test_a_full_disk_is_unavailable_and_everything_acknowledged_stays(opened):
    async with opened() as store:
        await _submit(store, "a")
        await store._step(lambda step: step.db.execute("PRAGMA max_page_count = 60"))

        with pytest.raises(StoreUnavailableError, match="full") as refused:
            await store.submit([_submission(f"b{number}", 200_000) for number in range(9)], by="t")
        assert refused.value.maybe_applied is False
        # A new connection was made, without the limit: there is room again.
        assert [task and task.id for task in await store.get(["a", "b0"])] == ["a", None]
        assert await _submit(store, "c") == (Outcome.OK,)


async def test_a_file_that_was_replaced_while_open_is_refused(opened, file):
    async with opened() as store:
        await _submit(store, "a")
        file.rename(file.with_name("moved.db"))
        with pytest.raises(StoreRefusedError, match="removed or replaced"):
            await store.now()
        file.with_name("moved.db").rename(file)
        assert (await store.get(["a"]))[0].id == "a"


async def test_a_damaged_file_is_refused_with_what_to_do(opened, file):
    async with opened() as store:
        for number in range(20):
            await store.submit([_submission(f"t{number}", 20_000)], by="test")
    content = bytearray(file.read_bytes())
    content[4096 : len(content)] = b"\xa5" * (len(content) - 4096)
    file.write_bytes(content)

    with pytest.raises(StoreRefusedError, match="restore it from a backup"):
        async with opened() as store:
            await store.get(["t1"])


async def test_store_time_of_reads_never_goes_back_over_a_reopening(file):
    from dsched.contracts.store.settings import StoreSettings
    from dsched_store_sqlite.options import SqliteOptions
    from dsched_store_sqlite.store import open_sqlite

    wall = [1_800_000_000_000]
    options = SqliteOptions(path=str(file))
    async with open_sqlite(options, StoreSettings(), wall=lambda: wall[0]) as store:
        await _submit(store, "a")
        wall[0] += 60_000
        read = await store.now()
    wall[0] -= 120_000
    async with open_sqlite(options, StoreSettings(), wall=lambda: wall[0]) as store:
        again = await store.now()
    assert again.now_ms >= read.now_ms
    assert again.clock_gen == read.clock_gen + 1
