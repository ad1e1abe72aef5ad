"""What a file remembers of its past, and files of before that do not know it yet."""

import sqlite3

from dsched.contracts.store.events import EventKind
from dsched.contracts.store.working import Submission
from dsched.model import TaskSpec

SPEC = TaskSpec(executor="local", payload={})


def changed(file, *statements):
    with sqlite3.connect(file) as db:
        for statement in statements:
            db.execute(statement)
    db.close()


async def test_a_file_of_before_gets_an_identity_when_it_is_opened_and_keeps_it(opened, file):
    async with opened() as store:
        await store.submit([Submission(task_id="t", spec=SPEC)], by="me")
        end = (await store.history(None)).end
    changed(file, "DROP TABLE history", "DROP TABLE history_break")
    with sqlite3.connect(file) as db:
        (version,) = db.execute("PRAGMA user_version").fetchone()
    db.close()
    identities = set()
    for _ in range(2):
        async with opened() as store:
            found = await store.history(end)
            identities.add(found.identity)
            assert (found.generation, found.known, found.breaks) == (0, True, ())
            assert (await store.get(["t"]))[0] is not None
    assert len(identities) == 1
    assert identities != {""}
    with sqlite3.connect(file) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (version,)
    db.close()


async def test_an_entry_of_a_kind_of_a_later_version_is_read_as_it_is(opened, file):
    async with opened() as store:
        await store.submit([Submission(task_id="t", spec=SPEC)], by="me")
    changed(file, "UPDATE event SET kind = 'of a later version'")
    async with opened() as store:
        fence = (await store.acquire("pod", "token", 60_000)).fence
        for page in (await store.events(None, 10), await store.collect(fence, 10)):
            strange, own = page.events
            assert strange.kind == "of a later version"
            assert strange.kind not in set(EventKind)
            assert own.kind is EventKind.LEADER
