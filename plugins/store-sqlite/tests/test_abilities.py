"""What workers can run, in a file that an earlier build registers in as well."""

import sqlite3

from dsched.contracts.store.dispatching import Choice
from dsched.contracts.store.outcomes import Outcome
from dsched.contracts.store.workers import Registration
from dsched.contracts.store.working import Submission
from dsched.model import Ability, TaskSpec

ETL = Ability.of(["local", "local/etl.load"])


async def test_what_an_earlier_build_registers_is_not_taken_for_its_predecessor(opened, file):
    worker = Registration(
        worker_id="w1",
        incarnation="0100-a",
        capacity=1,
        backlog=1,
        heartbeat_timeout_ms=60_000,
        ability=ETL,
    )
    async with opened() as store:
        assert await store.register(worker) == Outcome.OK
        spec = TaskSpec(executor="local", payload={"function": "etl.load"})
        await store.submit([Submission(task_id="t", spec=spec)], by="me")
    with sqlite3.connect(file) as db:
        db.execute("UPDATE worker SET incarnation = '0200-b'")
    db.close()
    async with opened() as store:
        (found,) = await store.workers()
        assert found.ability == ""
        fence = (await store.acquire("pod", "token", 60_000)).fence
        chosen = Choice(task_id="t", worker_id="w1", ability=ETL.digest)
        done = await store.dispatch(fence, [chosen], [], skip=0, limit=1)
        assert done.choices == (Outcome.MOVED,)


async def test_a_file_of_before_gets_the_tables_when_it_is_opened(opened, file):
    async with opened():
        pass
    with sqlite3.connect(file) as db:
        for table in ("ability", "worker_ability"):
            db.execute(f"DROP TABLE {table}")
    db.close()
    async with opened() as store:
        assert await store.abilities([ETL.digest]) == (None,)
