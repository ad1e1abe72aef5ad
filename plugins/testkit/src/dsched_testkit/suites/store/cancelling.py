"""Named tests: submitting tasks, and cancelling them in every state."""

import pytest

from dsched.contracts.store.bounds import MAX_BATCH
from dsched.contracts.store.events import EventKind
from dsched.contracts.store.outcomes import Outcome
from dsched.contracts.store.recovering import Reap
from dsched.contracts.store.timing import LEADER_WAKEUP
from dsched.contracts.store.working import Submission
from dsched.model import JsonValue, TaskStatus
from dsched_testkit.suites.store.arrange import (
    CANCELLED,
    CLIENT,
    DELAYED,
    FAILED,
    HEARTBEAT_MS,
    READY,
    RUNNING,
    SUCCESS,
    WAKEUP_S,
    Arranging,
    a_spec,
)

LONG_ID = ("x.y:z-_" * 20)[:128]


class SubmitTests(Arranging):
    """Creating tasks."""

    async def test_a_submitted_task_is_ready_with_its_snapshot(self) -> None:
        await self.lead()
        payload = {"big": 2**80, "text": 'Łódź 😀 \\ " {}', "empty": {}, "list": [], "none": None}
        await self.submit("a", payload=payload, priority=7)
        task = await self.task("a")
        assert (*READY, self.clock.ms, 7, 0) == (
            task.status,
            task.home,
            task.scheduled_ms,
            task.priority,
            task.attempt,
        )
        assert a_spec(payload=payload, priority=7) == task.spec
        assert task.config_id is None

    async def test_every_kind_of_payload_reads_back_as_it_was(self) -> None:
        payloads: list[JsonValue] = [
            None,
            True,
            0,
            -1,
            2**63,
            0.1,
            1e300,
            "",
            "\u2028\x7f",
            [],
            {},
            [[]],
            {"": []},
        ]
        for index, payload in enumerate(payloads):
            await self.submit(f"t{index}", payload=payload)
            spec = (await self.task(f"t{index}")).spec
            assert spec is not None
            assert payload == spec.payload
            assert type(payload) is type(spec.payload)

    async def test_a_delayed_submission_waits_and_is_scheduled_for_then(self) -> None:
        await self.lead()
        await self.submit("a", delay_ms=5000)
        task = await self.task("a")
        assert (*DELAYED, self.clock.ms + 5000) == (task.status, task.home, task.scheduled_ms)
        await self.clock.advance(5000)
        await self.store.promote(self.fence, 10)
        assert await self.state("a") == READY

    async def test_a_submission_for_an_instant_is_scheduled_for_just_that(self) -> None:
        await self.lead()
        at_ms = self.clock.ms + 5000
        items = [
            Submission(task_id="a", spec=a_spec(), at_ms=at_ms),
            Submission(task_id="past", spec=a_spec(), at_ms=self.clock.ms - 5000, delay_ms=7000),
        ]
        await self.clock.advance(3000)
        assert await self.store.submit(items, by=CLIENT) == (Outcome.OK, Outcome.OK)
        late, past = await self.task("a"), await self.task("past")
        assert (*DELAYED, at_ms) == (late.status, late.home, late.scheduled_ms)
        assert (*READY, self.clock.ms) == (past.status, past.home, past.scheduled_ms)
        await self.clock.advance(2000)
        await self.store.promote(self.fence, 10)
        assert await self.state("a") == READY

    async def test_a_repeated_submission_is_dup_and_another_with_its_id_a_conflict(self) -> None:
        item = Submission(task_id="a", spec=a_spec())
        other = Submission(task_id="a", spec=a_spec(payload=2))
        assert await self.store.submit([item], by=CLIENT) == (Outcome.OK,)
        await self.news()
        assert await self.store.submit([item], by=CLIENT) == (Outcome.DUP,)
        assert await self.store.submit([other], by=CLIENT) == (Outcome.CONFLICT,)
        assert await self.news() == []
        assert item.spec == (await self.task("a")).spec

    async def test_the_id_of_an_ended_task_stays_taken(self) -> None:
        await self.lead()
        await self.worker()
        await self.ended("a")
        spec = (await self.task("a")).spec
        assert spec is not None
        same = Submission(task_id="a", spec=spec)
        other = Submission(task_id="a", spec=a_spec(payload="other"))
        assert await self.store.submit([same], by=CLIENT) == (Outcome.DUP,)
        assert await self.store.submit([other], by=CLIENT) == (Outcome.CONFLICT,)
        assert await self.state("a") == SUCCESS

    async def test_a_submission_is_one_entry_for_its_batch(self) -> None:
        await self.submit("b")
        await self.news()
        items = [Submission(task_id=name, spec=a_spec()) for name in ("a", "b", "c")]
        outcomes = await self.store.submit(items, by=CLIENT)
        assert outcomes == (Outcome.OK, Outcome.DUP, Outcome.OK)
        event = await self.the_news()
        assert (event.kind, event.by) == (EventKind.SUBMITTED, CLIENT)
        assert [dict(item) for item in event.items] == [{"task": "a"}, {"task": "c"}]

    async def test_ids_at_their_limits_go_through_a_whole_life(self) -> None:
        await self.lead()
        for worker_id in (LONG_ID, "w.1:2"):
            await self.worker(worker_id)
            for task_id in (f"1{worker_id}"[:128], f"c.1:2@manual-{worker_id[:60]}"):
                await self.submit(task_id)
                token = await self.start(task_id, worker_id=worker_id)
                assert await self.finish(task_id, token) == Outcome.OK
                assert await self.state(task_id) == SUCCESS

    async def test_a_config_id_at_its_limit_fires(self) -> None:
        await self.lead()
        await self.worker()
        await self.config(LONG_ID)
        task_id, token = await self.fired_and_running(LONG_ID)
        assert (await self.task(task_id)).config_id == LONG_ID
        assert await self.finish(task_id, token) == Outcome.OK

    async def test_a_submission_wakes_the_leader(self) -> None:
        await self.hush(LEADER_WAKEUP)
        await self.submit("a")
        assert await self.store.wakeup(LEADER_WAKEUP, WAKEUP_S)

    async def test_submissions_over_the_bound_or_with_an_id_twice_are_refused_whole(self) -> None:
        many = [Submission(task_id=f"t{n}", spec=a_spec()) for n in range(MAX_BATCH + 1)]
        twice = [Submission(task_id="t0", spec=a_spec(payload=n)) for n in (1, 2)]
        for batch in (many, twice):
            with pytest.raises(ValueError, match=r"."):
                await self.store.submit(batch, by=CLIENT)
        assert await self.store.get(["t0"]) == (None,)

    async def test_a_full_batch_is_taken(self) -> None:
        items = [Submission(task_id=f"t{n}", spec=a_spec()) for n in range(MAX_BATCH)]
        assert await self.store.submit(items, by=CLIENT) == (Outcome.OK,) * MAX_BATCH


class CancelTests(Arranging):
    """A cancel in every state, and its races."""

    async def test_what_waits_is_cancelled_at_once_wherever_it_is(self) -> None:
        await self.lead()
        await self.worker()
        await self.submit("ready")
        await self.submit("delayed", delay_ms=9000)
        await self.queued("queued")
        await self.submit("retrying")
        await self.queue("retrying")
        claimed = await self.claim(limit=2)
        await self.fail("retrying", claimed.token, retry_delay_ms=9000)
        await self.finish("queued", claimed.token)
        await self.queued("queued2")
        names = ["ready", "delayed", "queued2", "retrying"]
        await self.news()
        answers = await self.store.cancel(names, by=CLIENT, reason="asked")
        assert {(Outcome.OK, TaskStatus.CANCELLED)} == {(a.outcome, a.status) for a in answers}
        for name in names:
            task = await self.task(name)
            assert (*CANCELLED, "asked", self.clock.ms) == (
                task.status,
                task.home,
                task.reason,
                task.end_ms,
            )
        event = await self.the_news()
        assert (event.kind, event.by) == (EventKind.CANCELLED, CLIENT)
        expected = [{"task": n, "status": "cancelled", "reason": "asked"} for n in names]
        assert expected == [dict(item) for item in event.items]

    async def test_a_cancelled_task_comes_back_from_nowhere(self) -> None:
        await self.lead()
        await self.worker()
        await self.submit("a")
        await self.queued("b")
        await self.submit("c", delay_ms=10)
        await self.store.cancel(["a", "b", "c"], by=CLIENT, reason="asked")
        await self.clock.advance(10)
        assert (await self.store.promote(self.fence, 10)).count == 0
        assert await self.ready_ids() == []
        assert (await self.claim()).outcome == Outcome.EMPTY
        assert await self.store.recall(self.fence, ["b"], 0) == (Outcome.STALE,)

    async def test_what_runs_is_asked_to_stop_and_its_worker_woken(self) -> None:
        await self.lead()
        await self.worker()
        token = await self.running("a")
        await self.hush("w1")
        await self.news()
        (answer,) = await self.store.cancel(["a"], by=CLIENT, reason="asked")
        assert (answer.outcome, answer.status) == (Outcome.REQUESTED, TaskStatus.RUNNING)
        assert await self.store.wakeup("w1", WAKEUP_S)
        task = await self.task("a")
        assert (*RUNNING, True) == (task.status, task.home, task.cancel_requested)
        event = await self.the_news()
        assert (event.kind, event.by) == (EventKind.CANCEL_REQUESTED, CLIENT)
        assert [dict(item) for item in event.items] == [{"task": "a", "reason": "asked"}]
        assert await self.finish("a", token) == Outcome.OK

    async def test_a_repeated_request_wakes_again_and_writes_nothing(self) -> None:
        await self.lead()
        await self.worker()
        token = await self.running("a")
        await self.store.cancel(["a"], by=CLIENT, reason="first")
        await self.hush("w1")
        await self.news()
        (answer,) = await self.store.cancel(["a"], by=CLIENT, reason="second")
        assert answer.outcome == Outcome.REQUESTED
        assert await self.store.wakeup("w1", WAKEUP_S)
        assert await self.news() == []
        await self.finish("a", token)
        assert (await self.task("a")).reason == "first"

    async def test_what_has_ended_is_too_late_or_already(self) -> None:
        await self.lead()
        await self.worker()
        await self.ended("done")
        token = await self.running("failed")
        await self.fail("failed", token)
        await self.submit("cancelled")
        await self.store.cancel(["cancelled"], by=CLIENT, reason="first")
        await self.news()
        names = ["done", "failed", "cancelled", "unknown"]
        answers = await self.store.cancel(names, by=CLIENT, reason="second")
        assert [(answer.outcome, answer.status) for answer in answers] == [
            (Outcome.TOO_LATE, TaskStatus.SUCCESS),
            (Outcome.TOO_LATE, TaskStatus.FAILED),
            (Outcome.ALREADY, TaskStatus.CANCELLED),
            (Outcome.UNKNOWN, None),
        ]
        assert await self.news() == []
        assert [await self.state("done"), await self.state("failed")] == [SUCCESS, FAILED]
        assert (await self.task("cancelled")).reason == "first"

    async def test_a_requested_cancel_outlives_a_reap(self) -> None:
        await self.lead()
        await self.worker()
        token = await self.running("a")
        await self.store.cancel(["a"], by=CLIENT, reason="asked")
        await self.clock.advance(HEARTBEAT_MS + 1)
        assert await self.store.reap(self.fence, [Reap(task_id="a", token=token)]) == (Outcome.OK,)
        assert await self.state("a") == CANCELLED

    async def test_a_cancel_by_a_batch_over_the_bound_or_twice_is_refused_whole(self) -> None:
        await self.submit("a")
        for batch in (["a", "a"], ["a", *(f"t{index}" for index in range(MAX_BATCH))]):
            with pytest.raises(ValueError, match=r"."):
                await self.store.cancel(batch, by=CLIENT, reason="x")
        assert await self.state("a") == READY
