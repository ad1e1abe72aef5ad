"""Acts on many tasks at a time: what they meet, at which rate, and what a leader's death leaves."""

import asyncio
import contextlib
import json
import random
from collections import Counter
from datetime import timedelta

import attrs
import pytest
from engine_cluster import BOTH, SCHEDULER, WORKER, Line, config, seconds

from dsched.bulk import BulkState, bulk_rate, retried_id
from dsched.bulk import matching as matching_module
from dsched.bulk.keeping import ENDED, MAX_ENDED, OPEN, open_operations
from dsched.bulk.operation import BulkOperation, read, written
from dsched.client import ConflictError, NotFoundError, RefusedError
from dsched.client import bulk as bulk_client
from dsched.contracts.store.outcomes import StoreUnavailableError
from dsched.engine.leader import bulk as bulk_step
from dsched.model import RetryPolicy, TaskStatus, from_ms
from dsched.selecting import SelectionError
from dsched_testkit.memory import MemoryStore

WHY = "the database is back"
ONCE = RetryPolicy(max_retries=0)


async def a_leader(cluster, **more):
    cluster.start("a", BOTH, capacity=20, **more)
    await cluster.lead_by("a")


def far_away(config_id, name="fail", **changes):
    """A config that fires in an hour, so that only what somebody triggers runs."""
    return config(config_id, name, every=timedelta(hours=1), retry=ONCE, **changes)


async def ended(cluster, config_id, count, name="fail", **changes):
    """So many ended tasks of a config; their ids."""
    await cluster.client.put_config(far_away(config_id, name, **changes))
    handles = [
        await cluster.client.trigger(config_id, key=f"{name.split()[0]}{number}")
        for number in range(count)
    ]
    for one in handles:
        await cluster.client.wait(one, timeout_s=30)
    await listed(cluster, config_id, {str(one) for one in handles})
    return [str(one) for one in handles]


async def listed(cluster, config_id, ids):
    """Wait for the list of what ended, which is written a little later than the ends."""
    async with asyncio.timeout(30):
        while not ids <= {one.id for one in (await cluster.client.list(config_id=config_id)).tasks}:
            await asyncio.sleep(0.05)


async def over(cluster, operation_id, timeout_s=120):
    """The operation, once it has ended."""
    async with asyncio.timeout(timeout_s):
        while True:
            found = await cluster.client.bulk_operation(operation_id)
            if found.state.ended:
                return found
            await asyncio.sleep(0.1)


def submissions(cluster, task_id):
    return len(cluster.items("submitted", task=task_id))


async def test_what_failed_is_run_once_more_and_nothing_else(cluster):
    await a_leader(cluster)
    failed = await ended(cluster, "etl-a", 3)
    fine = await ended(cluster, "etl-b", 2, "ok")
    other = await ended(cluster, "web", 1)
    made = await cluster.client.bulk("retry", config_id="etl-*", reason=WHY)
    assert (made.made, made.operation.state) == (True, BulkState.RUNNING)
    assert (made.estimate.found, dict(made.estimate.by_config)) == (3, {"etl-a": 3})
    assert set(made.estimate.first) == set(failed)
    done = await over(cluster, made.operation.id)
    assert (done.state, done.done, done.skipped, done.failed) == (BulkState.DONE, 3, 0, 0)
    assert (done.left, done.found, done.in_hand) == (0, 3, ())
    assert done.begun_ms is not None
    assert done.ended_ms is not None
    assert [submissions(cluster, retried_id(one)) for one in failed] == [1, 1, 1]
    assert [submissions(cluster, retried_id(one)) for one in (*fine, *other)] == [0, 0, 0]
    again = await cluster.client.get(retried_id(failed[0]))
    assert again.config_id == "etl-a"
    (entry,) = cluster.items("submitted", task=again.id)
    assert entry["why"] == f"{WHY} (bulk {done.id})"


async def test_a_retry_has_the_payload_and_the_instant_of_its_source(cluster):
    await a_leader(cluster)
    (source,) = await ended(cluster, "etl", 1)
    made = await cluster.client.bulk("retry", config_id="etl", reason=WHY)
    await over(cluster, made.operation.id)
    new, old = [await cluster.client.get(one) for one in (retried_id(source), source)]
    assert new.spec == old.spec


async def test_what_a_retry_made_and_what_ends_later_is_not_met_by_it(cluster):
    await a_leader(cluster)
    failed = await ended(cluster, "etl", 4)
    made = await cluster.client.bulk("retry", config_id="etl", reason=WHY, rate="1/1s")
    late = await ended(cluster, "etl", 6)
    done = await over(cluster, made.operation.id)
    assert (done.done, done.skipped) == (4, 0)
    assert {submissions(cluster, retried_id(one)) for one in failed} == {1}
    assert {submissions(cluster, retried_id(one)) for one in set(late) - set(failed)} == {0}
    for one in failed:  # they failed again, and were left alone
        assert submissions(cluster, retried_id(retried_id(one))) == 0


async def test_a_second_operation_runs_what_failed_again_and_not_its_source_once_more(cluster):
    await a_leader(cluster)
    failed = await ended(cluster, "etl", 2)
    first = await cluster.client.bulk("retry", config_id="etl", reason=WHY)
    await over(cluster, first.operation.id)
    for one in failed:
        await cluster.client.wait(retried_id(one), timeout_s=30)
    await listed(cluster, "etl", {retried_id(one) for one in failed})
    second = await cluster.client.bulk("retry", config_id="etl", reason=WHY)
    assert second.estimate.found == 4
    done = await over(cluster, second.operation.id)
    assert (done.done, done.skipped) == (2, 2)
    assert dict(done.skips) == {"was run once more already": 2}
    assert dict(done.examples) == dict.fromkeys(failed, "was run once more already")
    for one in failed:
        assert submissions(cluster, retried_id(one)) == 1
        assert submissions(cluster, retried_id(retried_id(one))) == 1


async def test_a_window_a_status_labels_and_an_owner_narrow_it(cluster):
    await a_leader(cluster)
    await ended(cluster, "etl-a", 2, owner="ann", labels={"team": "data"})
    await asyncio.sleep(60)
    split = from_ms(cluster.wall())
    await asyncio.sleep(1)
    await ended(cluster, "etl-b", 3, owner="ann")
    await ended(cluster, "etl-c", 1, "ok", owner="bob")

    async def found(**asked):
        answer = await cluster.client.bulk("retry", reason="", dry_run=True, **asked)
        return answer.estimate.found

    assert await found(config_id="etl-*") == 5
    assert await found(config_id="*", since=split) == 3
    assert await found(config_id="*", until=split) == 2
    assert await found(owner="ann") == 5
    assert await found(labels={"team": "data"}) == 2
    assert await found(owner="bob", status="success") == 1
    assert await found(config_id="etl-*", owner="ann", labels={"team": "data"}) == 2


async def test_a_dry_run_stores_nothing_and_makes_nothing(cluster):
    await a_leader(cluster)
    failed = await ended(cluster, "etl", 2)
    told = await cluster.client.bulk("retry", config_id="etl", reason="", dry_run=True)
    assert (told.made, told.estimate.found, told.operation.found) == (False, 2, 2)
    assert await cluster.client.bulk_operations() == ()
    await asyncio.sleep(10)
    assert {submissions(cluster, retried_id(one)) for one in failed} == {0}


async def test_what_waits_and_what_runs_is_cancelled_and_what_is_due_later_is_not(cluster):
    await a_leader(cluster)
    busy = config("busy", "sleep 60", every=seconds(1), overlap="allow", retry=ONCE)
    await cluster.client.put_config(busy)
    await cluster.client.put_config(attrs.evolve(busy, id="spared"))
    await cluster.until(lambda: len(cluster.fired("busy")) >= 5, "five have fired", 30)
    await cluster.client.pause_config("spared")
    made = await cluster.client.bulk("cancel", config_id="bus*", reason=WHY)
    due = [ms for ms in cluster.fired("busy") if ms <= made.operation.made_ms]
    assert made.estimate.found == len(due)
    done = await over(cluster, made.operation.id)
    assert (done.state, done.done, done.skipped) == (BulkState.DONE, len(due), 0)
    await asyncio.sleep(3)
    for ms in cluster.fired("busy"):
        status = cluster.row(f"busy@{ms}").status
        assert (status is TaskStatus.CANCELLED) is (ms in due), ms
    assert {cluster.row(f"spared@{ms}").status for ms in cluster.fired("spared")} == {
        TaskStatus.RUNNING
    }


async def test_a_status_narrows_a_cancel(cluster):
    cluster.start("a", SCHEDULER)
    await cluster.lead_by("a")
    await cluster.client.put_config(config("busy", "sleep 60", overlap="allow"))
    await cluster.until(lambda: len(cluster.fired("busy")) >= 3, "three have fired", 30)
    cluster.start("w", WORKER, capacity=1)
    await cluster.until(
        lambda: any(row.status is TaskStatus.RUNNING for row in cluster.state.tasks.values()),
        "one runs",
    )
    made = await cluster.client.bulk(
        "cancel", config_id="busy", status="running", reason=WHY, rate="1/1s"
    )
    assert made.estimate.found == 1
    done = await over(cluster, made.operation.id)
    assert done.done == 1
    assert len(cluster.items("cancel_requested")) == 1
    assert cluster.items("cancelled") == []


async def test_a_task_that_ends_just_before_it_is_asked_for_is_met_although_its_list_is_late(
    cluster,
):
    late = asyncio.Event()

    async def collects_later(handle, step, proceed):
        task = asyncio.current_task()
        if late.is_set() and task is not None and task.get_name() == "collecting":
            await asyncio.sleep(6)
            late.clear()
        return await proceed()

    await a_leader(cluster, line=Line(collects_later))
    await cluster.client.put_config(far_away("etl"))
    await asyncio.sleep(2)
    late.set()
    source = await cluster.client.trigger("etl", key="one")
    await cluster.client.wait(source, timeout_s=5)
    assert (await cluster.client.list(config_id="etl")).tasks == ()
    made = await cluster.client.bulk("retry", config_id="etl", reason=WHY)
    assert made.estimate.found == 0
    assert (await over(cluster, made.operation.id)).done == 1


async def test_it_goes_on_at_its_rate(cluster):
    await a_leader(cluster)
    await ended(cluster, "etl", 20)
    began_s = cluster.now_s()
    made = await cluster.client.bulk("retry", config_id="etl", reason=WHY, rate="2/s")
    done = await over(cluster, made.operation.id)
    assert done.done == 20
    assert 8 <= cluster.now_s() - began_s <= 14


async def test_a_pause_of_the_leader_is_not_made_up_for_in_one_go(cluster):
    await a_leader(cluster)
    sources = await ended(cluster, "etl", 40)
    await cluster.stop("a")
    line = StandsAt("get")  # of what is in hand: the first time, and then no more
    cluster.start("b", SCHEDULER, line=line)
    await cluster.client.bulk("retry", config_id="etl", reason=WHY, rate="4/s")
    await asyncio.wait_for(line.stood.wait(), 60)
    await asyncio.sleep(8)
    line.go.set()
    await asyncio.sleep(1.2)
    made = sum(submissions(cluster, retried_id(one)) for one in sources)
    assert 2 <= made <= 12, "what is in hand, a second's worth, and what came in since"


async def test_it_deals_with_so_many_and_no_more(cluster, monkeypatch):
    monkeypatch.setattr(bulk_step, "MAX_TOUCHED", 5)
    await a_leader(cluster)
    sources = await ended(cluster, "etl", 8)
    made = await cluster.client.bulk("retry", config_id="etl", reason=WHY)
    done = await over(cluster, made.operation.id)
    assert (done.state, done.done) == (BulkState.DONE, 5)
    assert "5 tasks, which is the most" in done.note
    assert sum(submissions(cluster, retried_id(one)) for one in sources) == 5


async def test_a_slow_rate_is_kept_over_leaders(cluster):
    await a_leader(cluster)
    failed = await ended(cluster, "etl", 10)
    began_s = cluster.now_s()
    made = await cluster.client.bulk("retry", config_id="etl", reason=WHY, rate="1/10s")
    for number in range(3):
        await asyncio.sleep(12)
        await cluster.client.step_down(why="again")
        cluster.start(f"b{number}")
    await asyncio.sleep(5)
    done = sum(submissions(cluster, retried_id(one)) for one in failed)
    # A new leader begins with one, since it knows nothing of when the last one was.
    assert 3 <= done <= (cluster.now_s() - began_s) / 10 + 5
    await cluster.client.stop_bulk(made.operation.id, reason="enough")


async def test_a_stopped_operation_leaves_the_rest_alone(cluster):
    await a_leader(cluster)
    failed = await ended(cluster, "etl", 12)
    made = await cluster.client.bulk("retry", config_id="etl", reason=WHY, rate="1/1s")
    await asyncio.sleep(5)
    asked = await cluster.client.stop_bulk(made.operation.id, reason="wrong ones")
    assert asked.state is BulkState.STOPPING
    assert (await cluster.client.stop_bulk(made.operation.id, reason="again")) == asked
    stopped = await over(cluster, made.operation.id)
    assert (stopped.state, stopped.stop_reason, stopped.stopped_by) == (
        BulkState.STOPPED,
        "wrong ones",
        "client",
    )
    await asyncio.sleep(10)
    made_again = sum(submissions(cluster, retried_id(one)) for one in failed)
    assert 2 <= made_again == stopped.done < 12
    with pytest.raises(ConflictError, match="has ended: it is stopped"):
        await cluster.client.stop_bulk(made.operation.id, reason="again")
    with pytest.raises(NotFoundError, match="no bulk operation nothing"):
        await cluster.client.stop_bulk("nothing", reason="again")
    with pytest.raises(ValueError, match="say why"):
        await cluster.client.stop_bulk(made.operation.id, reason=" ")


class CutAfter(Line):
    """A line on which the pod dies at the n-th call of the bulk step's own: before the store has
    heard it, or after that."""

    def __init__(self, cluster, name, number, *, heard):
        self.cluster, self.name, self.number, self.heard = cluster, name, number, heard
        self.seen = 0
        self.died = False
        super().__init__(self._rule)

    async def _rule(self, handle, step, proceed):
        if self.died:
            raise StoreUnavailableError("it is dead", maybe_applied=False)
        task = asyncio.current_task()
        if task is None or task.get_name() != "bulk" or not self._counts():
            return await proceed()
        self.seen += 1
        if self.seen < self.number:
            return await proceed()
        self.died = True
        if self.heard:
            await proceed()
        raise StoreUnavailableError("it died", maybe_applied=self.heard)

    def _counts(self):
        return any(kind == OPEN for kind, _ in self.cluster.state.documents)


@pytest.mark.parametrize("heard", [False, True])
@pytest.mark.parametrize("act", ["retry", "cancel"])
async def test_whenever_its_leader_dies_nothing_is_lost_doubled_or_counted_twice(
    cluster, act, heard
):
    """Each call of the step is the last one of a leader, one after the other."""
    cluster.start("w", WORKER, capacity=20)
    cluster.start("first", SCHEDULER)
    await cluster.lead_by("first")
    sources = await ended(cluster, "etl", 7)
    busy = config("busy", "sleep 60", overlap="allow", every=seconds(1))
    if act == "cancel":
        await cluster.client.put_config(busy)
        await cluster.until(lambda: len(cluster.fired("busy")) == 7, "seven have fired", 30)
        await cluster.client.pause_config("busy")
        sources = [f"busy@{ms}" for ms in cluster.fired("busy")]
    await cluster.kill("first")
    name = "etl" if act == "retry" else "busy"
    made = await cluster.client.bulk(act, config_id=name, reason=WHY, rate="2/s")
    deaths = 0
    for number in range(1, 40):
        leader = f"l{number}"
        line = CutAfter(cluster, leader, number, heard=heard)
        cluster.start(leader, SCHEDULER, line=line)

        async def dead_or_done(line=line):
            while not line.died:
                found = await cluster.client.bulk_operation(made.operation.id)
                if found.state.ended and not await open_operations(cluster.store):
                    return
                await asyncio.sleep(0.05)

        await asyncio.wait_for(dead_or_done(), 60)
        deaths += line.died
        await cluster.kill(leader)
        if not line.died:
            break
    assert deaths >= 5
    done = await cluster.client.bulk_operation(made.operation.id)
    assert (done.state, done.done, done.skipped, done.failed) == (BulkState.DONE, 7, 0, 0)
    if act == "retry":
        assert Counter(submissions(cluster, retried_id(one)) for one in sources) == {1: 7}
        assert not any(submissions(cluster, retried_id(retried_id(one))) for one in sources)
    else:
        assert Counter(len(cluster.items("cancel_requested", task=one)) for one in sources) == {
            1: 7
        }


class DiesAt(Line):
    """A line on which the pod dies at the first call of a step while something is in hand: before
    the store has heard it, or after that."""

    def __init__(self, cluster, step, *, heard):
        self.cluster, self.step, self.heard = cluster, step, heard
        self.died = False
        super().__init__(self._rule)

    async def _rule(self, handle, step, proceed):
        if self.died:
            raise StoreUnavailableError("it is dead", maybe_applied=False)
        task = asyncio.current_task()
        if step != self.step or task is None or task.get_name() != "bulk" or not self._in_hand():
            return await proceed()
        self.died = True
        if self.heard:
            await proceed()
        raise StoreUnavailableError("it died", maybe_applied=self.heard)

    def _in_hand(self):
        texts = [
            row.text for (kind, _), row in self.cluster.state.documents.items() if kind == OPEN
        ]
        return any(json.loads(one).get("in_hand") for one in texts)


@pytest.mark.parametrize("heard", [False, True])
@pytest.mark.parametrize("step", ["list_documents", "get", "submit", "list_tasks", "put_document"])
async def test_of_a_death_at_any_step_of_a_retry_nothing_is_left(cluster, step, heard):
    cluster.start("w", WORKER, capacity=20)
    cluster.start("first", SCHEDULER)
    await cluster.lead_by("first")
    sources = await ended(cluster, "etl", 7)
    await cluster.stop("first")
    line = DiesAt(cluster, step, heard=heard)
    cluster.start("dies", SCHEDULER, line=line)
    made = await cluster.client.bulk("retry", config_id="etl", reason=WHY, rate="2/s")
    if step == "list_tasks":  # the lists of what ended are read at first, and by a new leader
        await cluster.until(lambda: len(cluster.items("submitted")) > 7, "it is under way", 60)
        await cluster.kill("dies")
        line = DiesAt(cluster, step, heard=heard)
        cluster.start("dies", SCHEDULER, line=line)
    await cluster.until(lambda: line.died, "it dies", 60)
    await cluster.kill("dies")
    cluster.start("next", SCHEDULER)
    done = await over(cluster, made.operation.id)
    assert (done.state, done.done, done.skipped, done.failed) == (BulkState.DONE, 7, 0, 0)
    assert Counter(submissions(cluster, retried_id(one)) for one in sources) == {1: 7}


async def test_what_does_not_stop_when_asked_is_asked_once(cluster):
    async def stubborn(context, task):
        while True:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(5)
                return

    cluster.executor.bodies["stubborn"] = stubborn
    await a_leader(cluster)
    await cluster.client.put_config(config("busy", "stubborn", every=seconds(60)))
    await cluster.until(
        lambda: any(row.status is TaskStatus.RUNNING for row in cluster.state.tasks.values()),
        "one runs",
        90,
    )
    first = await cluster.client.bulk("cancel", config_id="busy", reason=WHY)
    await cluster.until(lambda: bool(cluster.items("cancel_requested")), "it is asked to stop")
    (running,) = [row for row in cluster.state.tasks.values() if row.id.startswith("busy@")]
    assert running.status is TaskStatus.RUNNING
    told = await cluster.client.bulk("cancel", config_id="busy", reason="", dry_run=True)
    assert told.estimate.found == 0
    assert (await over(cluster, first.operation.id)).done == 1


class StandsAt(Line):
    """A line on which the bulk step stands before a call of one step until it may go."""

    def __init__(self, step):
        self.step = step
        self.stood = asyncio.Event()
        self.go = asyncio.Event()
        super().__init__(self._rule)

    async def _rule(self, handle, step, proceed):
        task = asyncio.current_task()
        if step == self.step and task is not None and task.get_name() == "bulk":
            self.stood.set()
            await self.go.wait()
        return await proceed()


@pytest.mark.parametrize("step", ["submit", "put_document", "cancel"])
async def test_a_leader_that_was_followed_does_nothing_more(cluster, step):
    """It read the operation, and stood still until its term was over."""
    await a_leader(cluster)
    sources = await ended(cluster, "etl", 3)
    act = "cancel" if step == "cancel" else "retry"
    await cluster.client.put_config(config("busy", "sleep 60", overlap="allow"))
    await cluster.until(lambda: len(cluster.fired("busy")) >= 3, "three have fired", 30)
    await cluster.client.pause_config("busy")
    await cluster.stop("a")
    line = StandsAt(step)
    cluster.start("b", SCHEDULER, line=line)
    name = "busy" if act == "cancel" else "etl"
    made = await cluster.client.bulk(act, config_id=name, reason=WHY)
    await asyncio.wait_for(line.stood.wait(), 60)
    before = await cluster.client.bulk_operation(made.operation.id)
    await cluster.client.step_down(why="it stands still")
    line.go.set()
    await cluster.until(lambda: not cluster.pods["b"].status().leading, "its term is over", 30)
    assert await cluster.client.bulk_operation(made.operation.id) == before
    assert {submissions(cluster, retried_id(one)) for one in sources} == {0}
    assert not cluster.items("cancelled")
    assert not cluster.items("cancel_requested")
    cluster.start("c")
    assert (await over(cluster, made.operation.id)).done >= 3


async def test_who_stops_it_while_a_step_is_under_way_is_heard(cluster):
    await a_leader(cluster)
    await ended(cluster, "etl", 12)
    await cluster.stop("a")
    line = StandsAt("submit")
    cluster.start("b", SCHEDULER, line=line)
    made = await cluster.client.bulk("retry", config_id="etl", reason=WHY, rate="4/s")
    await asyncio.wait_for(line.stood.wait(), 60)
    await cluster.client.stop_bulk(made.operation.id, reason="wrong ones")
    line.go.set()
    done = await over(cluster, made.operation.id)
    assert (done.state, done.stop_reason) == (BulkState.STOPPED, "wrong ones")
    assert 0 < done.done < 12


async def test_a_lost_reply_and_an_outage_change_nothing(cluster):
    chance = random.Random(1)

    async def flaky(handle, step, proceed):
        task = asyncio.current_task()
        if task is None or task.get_name() != "bulk":
            return await proceed()
        if chance.random() < 0.15:
            raise StoreUnavailableError("lost", maybe_applied=False)
        answer = await proceed()
        if chance.random() < 0.15:
            raise StoreUnavailableError("lost", maybe_applied=True)
        return answer

    await a_leader(cluster, line=Line(flaky))
    failed = await ended(cluster, "etl", 30)
    made = await cluster.client.bulk("retry", config_id="etl", reason=WHY, rate="10/s")
    done = await over(cluster, made.operation.id, 600)
    assert (done.done, done.skipped, done.failed) == (30, 0, 0)
    assert Counter(submissions(cluster, retried_id(one)) for one in failed) == {1: 30}


async def test_what_cannot_be_retried_is_skipped_with_its_reason(cluster):
    await a_leader(cluster)
    failed = await ended(cluster, "etl", 3)
    await cluster.stop("a")
    made = await cluster.client.bulk("retry", config_id="etl", reason=WHY)
    (kept,) = await open_operations(cluster.store)
    chosen = attrs.evolve(
        kept.operation,
        in_hand=(failed[0], "etl@manual-gone", f"{failed[1]}~step"),
        walked=True,
    )
    await cluster.store.put_document(OPEN, chosen.id, written(chosen), read=kept.version)
    await a_leader(cluster)
    done = await over(cluster, made.operation.id)
    assert (done.done, done.skipped) == (1, 2)
    assert dict(done.skips) == {
        "is not kept any more": 1,
        "is a member of a run, which is run once more with its run only": 1,
    }


async def test_one_task_that_the_store_refuses_fails_alone(cluster, monkeypatch):
    await a_leader(cluster)
    failed = await ended(cluster, "etl", 4)
    bad, submit = retried_id(failed[2]), MemoryStore.submit

    async def refusing(self, items, **more):
        if any(one.task_id == bad for one in items):
            raise ValueError("this one is too large")
        return await submit(self, items, **more)

    monkeypatch.setattr(MemoryStore, "submit", refusing)
    made = await cluster.client.bulk("retry", config_id="etl", reason=WHY)
    done = await over(cluster, made.operation.id)
    assert (done.state, done.done, done.failed) == (BulkState.DONE, 3, 1)
    assert done.examples == ((failed[2], "this one is too large"),)


async def test_an_operation_that_cannot_go_on_ends_and_leaves_the_term_and_others_alone(
    cluster, monkeypatch, caplog
):
    await a_leader(cluster)
    await ended(cluster, "etl", 2)
    await ended(cluster, "web", 2)
    walk_of = bulk_step.walk_of

    def broken(store, operation):
        if operation.pattern == "etl":
            raise RuntimeError("a defect")
        return walk_of(store, operation)

    monkeypatch.setattr(bulk_step, "walk_of", broken)
    fence = await cluster.store.leader()
    bad = await cluster.client.bulk("retry", config_id="etl", reason=WHY)
    good = await cluster.client.bulk("retry", config_id="web", reason=WHY)
    failed = await over(cluster, bad.operation.id)
    assert (failed.state, failed.note) == (BulkState.FAILED, "RuntimeError: a defect")
    assert (await over(cluster, good.operation.id)).done == 2
    assert await cluster.store.leader() == fence
    assert "the bulk operation" in caplog.text


async def test_a_list_that_is_too_long_ends_a_cancel_and_says_which(cluster, monkeypatch):
    monkeypatch.setattr(matching_module, "MAX_LIVING_PAGES", 1)
    monkeypatch.setattr(matching_module, "MAX_BATCH", 2)
    cluster.start("a", SCHEDULER)
    await cluster.client.put_config(config("busy", "sleep 60", overlap="allow"))
    await cluster.until(lambda: len(cluster.fired("busy")) >= 4, "four have fired", 30)
    with pytest.raises(SelectionError, match="config busy has more than 2 tasks"):
        await cluster.client.bulk("cancel", config_id="busy", status="running", reason=WHY)


async def test_so_many_go_on_and_no_more(cluster, monkeypatch):
    monkeypatch.setattr(bulk_client, "MAX_OPEN", 2)
    await cluster.client.put_config(far_away("etl"))
    for _ in range(2):
        assert (await cluster.client.bulk("retry", config_id="etl", reason=WHY)).made
    with pytest.raises(RefusedError, match="2 bulk operations go on already"):
        await cluster.client.bulk("retry", config_id="etl", reason=WHY)
    await a_leader(cluster)
    await cluster.until(
        lambda: not any(kind == OPEN for kind, _ in cluster.state.documents), "both end"
    )
    assert (await cluster.client.bulk("retry", config_id="etl", reason=WHY)).made


async def test_those_that_ended_are_kept_for_a_while_and_not_too_many(cluster, monkeypatch):
    monkeypatch.setattr("dsched.bulk.keeping.MAX_ENDED", 3)
    assert MAX_ENDED == 100
    await a_leader(cluster)
    await cluster.client.put_config(far_away("etl"))
    ids = []
    for _ in range(5):
        made = await cluster.client.bulk("retry", config_id="etl", reason=WHY)
        await over(cluster, made.operation.id)
        ids.append(made.operation.id)
        await cluster.until(
            lambda: not any(kind == OPEN for kind, _ in cluster.state.documents), "it is put away"
        )
        await asyncio.sleep(1)
    kept = [one.id for one in await cluster.client.bulk_operations()]
    assert kept == ids[::-1][:3]
    ttl = {row.expires_ms for (kind, _), row in cluster.state.documents.items() if kind == ENDED}
    assert None not in ttl


async def test_the_same_key_is_the_same_operation(cluster):
    await cluster.client.put_config(far_away("etl"))
    first = await cluster.client.bulk("retry", config_id="etl", reason=WHY, key="k1")
    again = await cluster.client.bulk("retry", config_id="etl", reason=WHY, key="k1")
    assert (first.made, again.made) == (True, False)
    assert again.operation == first.operation
    assert len(await cluster.client.bulk_operations()) == 1


@pytest.mark.parametrize(
    ("asked", "field", "words"),
    [
        ({"act": "retry"}, "config", "nothing says whose tasks to retry"),
        ({"act": "cancel", "status": "running"}, "config", "nothing says whose tasks to cancel"),
        ({"act": "delete", "config_id": "etl"}, "act", "must be one of retry, cancel"),
        ({"act": "retry", "config_id": "none-*"}, "config", "no config is meant"),
        ({"act": "retry", "config_id": "e*l"}, "config", "a star that is not its end"),
        ({"act": "retry", "config_id": "etl", "status": "broken"}, "status", "'broken' is none"),
        (
            {"act": "retry", "config_id": "etl", "status": "running"},
            "status",
            "only what has ended",
        ),
        (
            {"act": "cancel", "config_id": "etl", "status": "failed"},
            "status",
            "cannot be cancelled",
        ),
        ({"act": "retry", "config_id": "etl", "rate": "fast"}, "rate", "is no rate"),
        ({"act": "retry", "config_id": "etl", "rate": "0/s"}, "rate", "1 to"),
        ({"act": "retry", "config_id": "etl", "rate": "101/s"}, "rate", "more than 100 a second"),
        ({"act": "retry", "config_id": "etl", "rate": "1/30h"}, "rate", "less than 1 an hour"),
    ],
)
async def test_what_makes_no_sense_is_refused_with_what_to_give(cluster, asked, field, words):
    await cluster.client.put_config(far_away("etl"))
    act = asked.pop("act")
    with pytest.raises(SelectionError, match=words) as refused:
        await cluster.client.bulk(act, reason=WHY, **asked)
    assert refused.value.field == field
    assert await cluster.client.bulk_operations() == ()


async def test_spans_that_hold_nothing_are_refused(cluster):
    await cluster.client.put_config(far_away("etl"))
    now = from_ms(cluster.wall())
    hour = timedelta(hours=1)
    for asked, words in (
        ({"since": now + hour}, "has not come"),
        ({"since": now - hour, "until": now - 2 * hour}, "must be later than since"),
    ):
        with pytest.raises(SelectionError, match=words):
            await cluster.client.bulk("retry", config_id="etl", reason=WHY, **asked)
    with pytest.raises(SelectionError, match="since: is about ends"):
        await cluster.client.bulk("cancel", config_id="etl", reason=WHY, since=now)
    with pytest.raises(ValueError, match="say why"):
        await cluster.client.bulk("retry", config_id="etl", reason="  ")


def test_a_rate_may_have_a_unit_alone():
    assert bulk_rate("50/s") == "50/1s"
    assert bulk_rate("600 / m") == "600/1m"
    assert bulk_rate("1/10s") == "1/10s"
    assert bulk_rate(None) == "20/1s"


def test_the_largest_operation_fits_into_its_document():
    full = BulkOperation(
        id="a" * 10,
        act="cancel",
        by="b" * 128,
        reason="\u2030" * 500,
        pattern="c" * 128,
        before_ms=10**13,
        rate="100/1s",
        made_ms=10**13,
        config_ids=tuple(f"{number:05d}".ljust(128, "x") for number in range(32_000 // 131)),
        in_hand=tuple(f"{number:05d}".ljust(150, "x") for number in range(50)),
        examples=tuple((f"{number:05d}".ljust(270, "x"), "y" * 200) for number in range(20)),
        stop_reason="\u2030" * 500,
        note="z" * 300,
    )
    assert read(full.id, written(full)) == full
    from dsched.contracts.store.documents import document_text

    assert len(document_text(written(full)).encode()) < 64 * 1024


def test_what_a_later_version_wrote_is_left_alone():
    assert read("a", {"act": "pause"}) is None
    assert read("a", ["no object"]) is None
