"""A full server bears no members; runs of many tasks are cancelled and end on it all the same."""

from typing import Any

import pytest

from dsched.contracts.store.outcomes import Outcome, StoreReadOnlyError
from dsched.contracts.store.runs import Advance, AdvanceAnswer, Birth
from dsched.contracts.store.working import Submission
from dsched.model import Member, Step, TaskSpec, TaskStatus, Workflow
from dsched.planning.runs import RunEnd
from dsched_testkit.servers import NoServerError, RedisServer

FLOW = Workflow(steps=[Step(id="a", executor="local"), Step(id="b", executor="local")])
RUN = TaskSpec(executor="workflow", workflow=FLOW)


def _births(*names: str) -> tuple[Birth, ...]:
    specs = {name: TaskSpec(executor="local", member=Member(step=name)) for name in names}
    return tuple(Birth(name=name, spec=spec) for name, spec in specs.items())


async def _status(store: Any, *task_ids: str) -> list[TaskStatus | None]:
    return [None if one is None else one.status for one in await store.get(task_ids)]


async def test_a_full_server_cancels_and_ends_runs_and_bears_members_when_there_is_room(
    opener: Any,
) -> None:
    try:
        server = RedisServer(least_major=7)
    except NoServerError as error:
        pytest.skip(str(error))  # servers before 7.0 know no script flags
    with server:
        async with opener(server) as store:
            fence = (await store.acquire("p", "t", 600_000)).fence
            runs = [Submission(task_id=key, spec=RUN) for key in ("fails", "ends", "goes")]
            await store.submit(runs, by="me")
            await store.open_runs(fence, {}, 10)
            born = Advance(run_id="fails", version=0, births=_births("a"))
            await store.advance(fence, [born])
            server.command("CONFIG", "SET", "maxmemory", "1")
            ended = Advance(run_id="ends", version=0, end=RunEnd(status=TaskStatus.SUCCESS))
            assert await store.advance(fence, [ended]) == (
                AdvanceAnswer(outcome=Outcome.OK, version=0),
            )
            # A call that bears members is refused, but what of it needs no room is done.
            await store.cancel(["goes"], by="me", reason="why")
            cancelled = RunEnd(status=TaskStatus.CANCELLED, reason="why")
            items = [
                Advance(run_id="fails", version=1, births=_births("b"), cancels=("a",)),
                Advance(run_id="goes", version=0, end=cancelled, cancel_known=True),
            ]
            with pytest.raises(StoreReadOnlyError, match=r"OOM|maxmemory"):
                await store.advance(fence, items)
            assert await _status(store, "ends", "goes", "fails", "fails~a", "fails~b") == [
                TaskStatus.SUCCESS,
                TaskStatus.CANCELLED,
                TaskStatus.RUNNING,
                TaskStatus.CANCELLED,
                None,
            ]
            assert [one.task.id for one in (await store.open_runs(fence, {}, 10)).runs] == ["fails"]
            server.command("CONFIG", "SET", "maxmemory", "0")
            answers = await store.advance(fence, items)
            assert [one.outcome for one in answers] == [Outcome.OK, Outcome.STALE]
            assert await _status(store, "fails~b") == [TaskStatus.PENDING]
