"""Backups of both kinds of store are restored into either, or it is refused and said why."""

import asyncio
import sqlite3
import time

import attrs
import pytest
from rich_store import make_rich
from store_places import HOLDS, KINDS

from dsched.client import Client
from dsched.launcher import moving
from dsched.model import TaskSpec
from dsched.moving import MovingError
from dsched_store_sqlite.moving import _Target as FileTarget


@pytest.fixture
def backed_up(place, tmp_path):
    """Back up a rich store of a kind: its place as the launcher has it, and the file."""

    async def made(kind):
        source = place(kind)
        async with source.opened() as store:
            await make_rich(store)
        file = str(tmp_path / "backup.db")
        await moving.backup(moving.Place.of(source.config(tmp_path)), file)
        return source, file

    return made


@pytest.mark.parametrize("target_kind", KINDS)
@pytest.mark.parametrize("source_kind", KINDS)
async def test_a_backup_is_restored_into_any_kind_of_store(
    place, backed_up, tmp_path, source_kind, target_kind
):
    _, file = await backed_up(source_kind)
    target = place(target_kind)
    copied, seal, settled = await moving.restore(
        moving.Place.of(target.config(tmp_path)), file, why="the disk broke", run_owed=True
    )
    assert (seal.store, dict(copied.counts), settled.skipped) == (source_kind, HOLDS, ())
    async with target.opened() as store:
        history = await store.history(None)
        assert (history.breaks[0].loss, history.breaks[0].from_ms) == ("declared", seal.taken_ms)
        assert await store.get_document("backup", "seal") is None


async def test_instants_since_the_backup_are_not_fired_a_second_time(place, backed_up, tmp_path):
    """In the past that is lost they may have been: `going` and `held` were due already."""
    _, file = await backed_up("sqlite")
    target = place("sqlite")
    where = moving.Place.of(target.config(tmp_path))
    began_ms = time.time_ns() // 1_000_000
    _, _, settled = await moving.restore(where, file, why="the disk broke", run_owed=False)
    assert settled.skipped == ("going", "held", "routed")
    async with target.opened() as store:
        wall_ms = (await store.now()).wall_ms
        fence = (await store.acquire("pod2", "token2", 60_000)).fence
        # A fixed delay has no instants of its own: it begins anew, now.
        due = (await store.due(fence, 100)).configs
        assert [one.config.id for one in due] == ["going"]
        assert due[0].due_ms >= began_ms
        for stored in await store.get_configs(["held", "routed"]):
            assert stored.due_ms > wall_ms
            assert stored.paused is None
        (paused,) = await store.get_configs(["paused"])
        assert paused.paused.who == "op"  # it was paused before, and stays so
        events = (await store.events(None, 1000)).events
        skipped = [
            dict(item) for event in events if event.kind == "skipped" for item in event.items
        ]
        (held,) = (item for item in skipped if item["config"] == "held")
        assert (held["reason"], held["who"]) == ("paused", "restore")
        assert "was restored: the disk broke" in held["why"]


async def test_what_is_owed_may_be_run_if_that_is_asked_for(place, backed_up, tmp_path):
    _, file = await backed_up("sqlite")
    target = place("sqlite")
    where = moving.Place.of(target.config(tmp_path))
    await moving.restore(where, file, why="the disk broke", run_owed=True)
    async with target.opened() as store:
        fence = (await store.acquire("pod2", "token2", 60_000)).fence
        due = {one.config.id for one in (await store.due(fence, 100)).configs}
        assert due == {"going", "held", "routed"}


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
async def test_a_backup_that_is_cut_is_refused(place, backed_up, tmp_path, share):
    _, file = await backed_up("sqlite")
    whole = (tmp_path / "backup.db").read_bytes()
    for size in (int(len(whole) * share), int(len(whole) * share) // 4096 * 4096):
        (tmp_path / "backup.db").write_bytes(whole[:size])
        target = place("sqlite")
        with pytest.raises(MovingError, match="is cut or damaged"):
            await moving.restore(
                moving.Place.of(target.config(tmp_path)), file, why="x", run_owed=False
            )
        assert not (tmp_path / target.options.path).exists()


async def test_a_backup_that_was_changed_is_refused(place, backed_up, tmp_path):
    _, file = await backed_up("sqlite")
    db = sqlite3.connect(file)
    db.execute("DELETE FROM config WHERE id = 'going'")
    db.commit()
    db.close()
    target = place("redis")
    where = moving.Place.of(target.config(tmp_path))
    with pytest.raises(MovingError, match=r"does not hold what its seal names \(configs: 5 and 4"):
        await moving.restore(where, file, why="x", run_owed=False)
    async with target.opened() as store:
        assert (await store.counts()).configs == 0


async def test_the_file_of_a_store_is_no_backup(place, tmp_path):
    source, target = place("sqlite"), place("sqlite")
    async with source.opened() as store:
        await make_rich(store)
    where = moving.Place.of(target.config(tmp_path))
    with pytest.raises(MovingError, match="it has no seal"):
        await moving.restore(where, source.options.path, why="x", run_owed=False)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_restore_over_the_running_store_is_refused_and_tells_the_age(
    place, backed_up, tmp_path, kind
):
    source, file = await backed_up(kind)
    async with source.opened() as store:
        await until(
            lambda: Client(store, by="later").submit(TaskSpec(executor="local", payload={}))
        )
    where = moving.Place.of(source.config(tmp_path))
    with pytest.raises(MovingError, match="is not empty") as caught:
        await moving.restore(where, file, why="x", run_owed=False)
    assert "The backup is of this very store, and " in str(caught.value)
    other = place(kind)
    async with other.opened() as store:
        await make_rich(store)
    with pytest.raises(MovingError, match="of another store than the one that is there"):
        await moving.restore(moving.Place.of(other.config(tmp_path)), file, why="x", run_owed=False)


async def until(act):
    """Once the wall has moved on, so that ages can be told apart."""
    began = time.time_ns() // 1_000_000
    while time.time_ns() // 1_000_000 <= began:
        await asyncio.sleep(0)
    await act()


async def test_a_backup_never_replaces_a_file(place, backed_up, tmp_path):
    source, file = await backed_up("sqlite")
    with pytest.raises(MovingError, match="is there already"):
        await moving.backup(moving.Place.of(source.config(tmp_path)), file)


async def test_a_backup_that_is_not_what_was_read_is_not_kept(place, tmp_path, monkeypatch):
    """Its disk, say, loses what is written: the file is removed, so that nobody relies on it."""
    source = place("sqlite")
    async with source.opened() as store:
        await make_rich(store)
    fill = FileTarget.fill

    async def losing(self, part):
        await fill(self, attrs.evolve(part, terms=()))

    monkeypatch.setattr(FileTarget, "fill", losing)
    file = tmp_path / "backup.db"
    with pytest.raises(MovingError, match=r"not what was read \(terms: 1 and 0\)"):
        await moving.backup(moving.Place.of(source.config(tmp_path)), str(file))
    assert not file.exists()


async def test_a_store_that_cannot_be_moved_says_so(tmp_path):
    file = tmp_path / "memory.yaml"
    file.write_text("store: memory\n")
    with pytest.raises(MovingError, match=r"the store memory .* cannot be backed up"):
        await moving.backup(moving.Place.of(str(file)), str(tmp_path / "x.db"))
    assert not (tmp_path / "x.db").exists()
