"""Limits that task files declare: whose they are, put before what names them, and checked."""

import asyncio
import logging

import pytest
from engine_cluster import config

from dsched.client import ConflictError
from dsched.client.limit_origins import document_id
from dsched.declaring import Source, declare_limits, limit_conflicts
from dsched.engine.runtime import Runtime
from dsched.launcher.putting import put_all
from dsched.launcher.run import main
from dsched.model import Limit

FILE, OTHER = "file:tasks", "file:more"


def limit(limit_id="crm", most=5):
    return Limit(id=limit_id, max_running=most)


def source(*limits, origin=FILE, configs=()):
    return Source(origin=origin, configs=tuple(configs), orphans=False, limits=tuple(limits))


async def test_limits_of_all_files_are_put_before_the_tasks_that_name_them(cluster, caplog):
    caplog.set_level(logging.INFO)
    sources = [
        source(configs=[config("a", limits=["crm", "tenant:acme"], origin=FILE)]),
        source(limit(), limit("tenant", 2), origin=OTHER),
    ]
    await put_all(cluster.client, sources, adopt=False, runtime=Runtime())
    assert (await cluster.client.get_config("a")).config.limits == ("crm", "tenant:acme")
    assert await cluster.client.limit_origins() == {"crm": OTHER, "tenant": OTHER}
    assert "limit crm is new, as file:more declares it" in caplog.text
    caplog.clear()
    await put_all(cluster.client, sources, adopt=False, runtime=Runtime())
    assert "limit crm" not in caplog.text


async def test_a_task_whose_limit_nobody_has_put_is_said_and_leaves_the_others_alone(
    cluster, caplog
):
    tasks = [config("bad", limits=["crn"], origin=FILE), config("good", origin=FILE)]
    await put_all(cluster.client, [source(limit(), configs=tasks)], adopt=False, runtime=Runtime())
    stored = (await cluster.client.list_configs()).configs
    assert [one.config.id for one in stored] == ["good"]
    assert "config bad of file:tasks is not put: limits: there is no limit 'crn'" in caplog.text


async def test_a_limit_of_another_origin_stays_unless_it_is_adopted(cluster, caplog):
    client = cluster.client
    await client.put_limit(limit(most=1), origin=OTHER)
    await put_all(client, [source(limit())], adopt=False, runtime=Runtime())
    assert (await client.get_limit("crm")).max_running == 1
    assert "limit crm is not put: it is declared by file:more, not by file:tasks" in caplog.text
    with pytest.raises(ConflictError, match=r"declared by file:more, not by api.*adopt") as caught:
        await client.put_limit(limit(most=9))
    assert caught.value.code == "origin_conflict"
    await put_all(client, [source(limit())], adopt=True, runtime=Runtime())
    assert (await client.get_limit("crm")).max_running == 5
    assert await client.limit_origins() == {"crm": FILE}
    assert await client.put_limit(limit(), adopt=True), "it is the operator's now"
    assert await client.limit_origins() == {}


async def test_an_equal_limit_that_was_set_by_hand_is_taken_over_and_another_is_not(cluster):
    client = cluster.client
    await client.put_limit(limit())
    await client.put_limit(limit("tenant", 1))
    wanted = [limit(), limit("tenant", 2)]
    (conflict,) = await limit_conflicts(client, wanted, origin=FILE)
    assert (conflict.id, conflict.origin) == ("tenant", "api")
    declared = await declare_limits(client, wanted, origin=FILE)
    assert (declared.plan.adopt, declared.conflicts) == (("crm",), (conflict,))
    assert await client.limit_origins() == {"crm": FILE}


async def test_a_limit_that_its_file_no_longer_has_stays_as_tasks_may_be_bound_by_it(cluster):
    await declare_limits(cluster.client, [limit()], origin=FILE)
    await declare_limits(cluster.client, [limit("tenant", 2)], origin=FILE)
    assert await cluster.client.get_limit("crm") == limit()


async def test_only_its_own_origin_deletes_a_limit_where_one_is_named(cluster):
    client = cluster.client
    await client.put_limit(limit(), origin=FILE)
    with pytest.raises(ConflictError, match="declared by file:tasks, not by file:more") as caught:
        await client.delete_limit("crm", origin=OTHER)
    assert caught.value.code == "origin_conflict"
    await client.delete_limit("crm", origin=FILE)
    assert await client.limit_origins() == {}
    await client.put_limit(limit(), origin=OTHER)
    assert await client.limit_origins() == {"crm": OTHER}


async def test_what_was_said_of_a_limit_that_is_gone_counts_for_nothing(cluster):
    await cluster.client.put_limit(limit(), origin=FILE)
    await cluster.store.drop_limit("crm", force=True)
    assert await cluster.client.put_limit(limit(most=1), origin=OTHER)
    assert await cluster.client.limit_origins() == {"crm": OTHER}


async def test_of_two_that_declare_a_limit_at_once_one_has_it_and_the_other_is_told(cluster):
    results = await asyncio.gather(
        *(cluster.client.put_limit(limit(most=at), origin=f"file:f{at}") for at in range(1, 9)),
        return_exceptions=True,
    )
    origins = await cluster.client.limit_origins()
    won = [at for at, one in enumerate(results, 1) if one is True]
    assert origins == {"crm": f"file:f{won[0]}"}
    assert (await cluster.client.get_limit("crm")).max_running == won[0]
    others = [one for one in results if one is not True]
    assert len(others) == 7
    assert {one.code for one in others} == {"origin_conflict"}


async def test_any_instance_has_an_origin(cluster):
    names = ["t:" + "x" * 64, "y" * 64 + ":" + "z" * 64, "t:~" + "0" * 40, "t:-"]
    for name in names:
        await cluster.client.put_limit(limit(name), origin=FILE)
    assert await cluster.client.limit_origins() == dict.fromkeys(names, FILE)
    assert len({document_id(name) for name in names}) == len(names)


async def test_a_store_of_an_older_format_says_so_and_takes_everything_else(cluster, caplog):
    cluster.state.format = 3
    await put_all(
        cluster.client,
        [source(limit(), configs=[config("good", origin=FILE)])],
        adopt=False,
        runtime=Runtime(),
    )
    assert "limit crm of file:tasks is not put: " in caplog.text
    assert "dsched store migrate" in caplog.text
    assert (await cluster.client.get_config("good")).config.id == "good"


TASK = "  - {id: a, every: 1h, executor: http, payload: {url: 'http://localhost'}, limits: [crm]}\n"


def check(folder, text, more=""):
    (folder / "dsched.yaml").write_text("store: sqlite\nsqlite: {path: none.db}\n")
    (folder / "tasks.yaml").write_text(text)
    (folder / "more.yaml").write_text(more or "tasks: []\n")
    return main(
        ["--config", "dsched.yaml", "--tasks", "tasks.yaml", "--tasks", "more.yaml", "--check"]
    )


def test_check_names_unknown_limits_with_line_and_key(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert check(tmp_path, f"tasks:\n{TASK}") == 2
    shown = capsys.readouterr().err
    assert "tasks.yaml:2: tasks[0].limits[0]: there is no limit 'crm'" in shown
    assert "dsched limit set" in shown
    more = "limits: {crm: {max_running: 1}}\ntasks: []\n"
    assert check(tmp_path, f"tasks:\n{TASK}", more) == 0
    assert "limits: 1 ok: crm" in capsys.readouterr().out
    assert check(tmp_path, f"limits: {{crm: {{max_running: 2}}}}\ntasks:\n{TASK}", more) == 2
    assert "more.yaml:1: limits.crm: is a limit of file:tasks too" in capsys.readouterr().err
