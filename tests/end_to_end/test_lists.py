"""Lists by pattern, label, owner, status and window, by the command, of real pods on each store."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

import attrs
import pytest
from cluster import Cluster
from pods import clean_environment, origin_of_api

from dsched.model import RetryPolicy, TaskConfig, TaskStatus

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

TOKEN = "dsk_admin_" + "x" * 40
CONFIGS: dict[str, dict[str, Any]] = {
    "etl-a": {"labels": {"team": "data", "tier": "1"}, "owner": "ann"},
    "etl-b": {"labels": {"team": "data"}, "owner": "bob"},
    "web": {"labels": {"team": "web", "tier": "1"}, "owner": "ann"},
}
# What a task of a config is to become: the path of the target, or a status that it ends with.
ENDS = {TaskStatus.SUCCESS: "/run", TaskStatus.FAILED: "/nothing", TaskStatus.CANCELLED: ""}


@attrs.frozen
class Ended:
    """A task that ended, and how."""

    task_id: str
    config: str
    status: TaskStatus
    end_ms: int


@attrs.frozen
class Command:
    """`dsched` against the pod with the API."""

    url: str

    async def run(self, *args: str) -> tuple[int, str, str]:
        """Its exit code, and what it wrote."""
        env = clean_environment(
            DSCHED_URL=self.url, DSCHED_TOKEN=TOKEN, XDG_CONFIG_HOME="/nonexistent", TZ="UTC"
        )
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "dsched_cli.main", *args),
            env=env,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(50):
            out, err = await process.communicate()
        assert process.returncode is not None
        return process.returncode, out.decode(), err.decode()

    async def ids(self, *args: str, of: str = "task") -> list[str]:
        """The ids of a list."""
        code, out, err = await self.run(of, "list", *args, "-o", "json")
        assert code == 0, (args, err)
        return [str(one["id"]) for one in json.loads(out)]


@asynccontextmanager
async def listing(open_cluster: Any) -> AsyncIterator[tuple[Cluster, Command]]:
    """Two pods, one of them with the API, and the three configs."""
    api = {"api": {"port": 0, "auth": "token", "admin_token": TOKEN}}
    async with open_cluster() as cluster:
        cluster.start("pod-a", "--role", "scheduler,worker,api", **api)
        cluster.start("pod-b", "--role", "scheduler,worker")
        await cluster.workers_ready(2)
        command = Command(await origin_of_api(cluster.pods["pod-a"]))
        for name, fields in CONFIGS.items():
            await cluster.client.put_config(
                TaskConfig(
                    id=name,
                    executor="http",
                    payload={"url": cluster.ledger.url()},
                    every=timedelta(hours=1),
                    enabled=False,
                    retry=RetryPolicy(max_retries=0),
                    **fields,
                )
            )
        yield cluster, command
        assert {0} == set((await cluster.stop_all()).values())


async def ended_tasks(cluster: Cluster) -> list[Ended]:
    """One task of each config and terminal status, one after the other; the latest end first."""
    made = []
    for status, path in ENDS.items():
        for name in CONFIGS:
            (stored,) = await cluster.client.get_configs([name])
            assert stored is not None
            url = cluster.ledger.url(path or "/slow/60000")
            await cluster.client.put_config(attrs.evolve(stored.config, payload={"url": url}))
            handle = await cluster.client.trigger(name)
            if not path:
                await handle.cancel()
            tasks = await cluster.all_end([handle.id], 40)
            assert tasks[handle.id].status is status, tasks[handle.id]
            made.append(Ended(handle.id, name, status, tasks[handle.id].end_ms or 0))

    async def listed() -> bool:  # the collector makes the lists
        return len((await cluster.client.list(config_id="*")).tasks) == len(made)

    await cluster.until_store(listed, "all that ended is in the lists")
    return sorted(made, key=lambda one: (one.end_ms, one.task_id), reverse=True)


def instant(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000).astimezone().isoformat(timespec="milliseconds")


async def test_each_filter_alone_and_together_lists_what_it_means(open_cluster):
    async with listing(open_cluster) as (cluster, command):
        ended = await ended_tasks(cluster)
        assert len(ended) == 9
        third, sixth = ended[-3].end_ms, ended[-6].end_ms
        of_window = [one for one in ended if third <= one.end_ms < sixth]
        assert len(of_window) == 3

        def those(configs: str, *statuses: str) -> list[str]:
            return [
                one.task_id
                for one in ended
                if one.config in configs.split() and (not statuses or one.status in statuses)
            ]

        span = ("--since", instant(third), "--until", instant(sixth))
        for args, wanted in (
            ((), those("etl-a etl-b web")),
            (("--of", "etl-*"), those("etl-a etl-b")),
            (("--of", "web"), those("web")),
            (("--of", "*"), those("etl-a etl-b web")),
            (("--label", "team=data"), those("etl-a etl-b")),
            (("--label", "tier=1", "--label", "team=data"), those("etl-a")),
            (("--owner", "ann"), those("etl-a web")),
            (("--status", "failed"), those("etl-a etl-b web", "failed")),
            (("--status", "running"), []),
            (("--status", "pending"), []),
            (("--of", "etl-*", "--owner", "ann"), those("etl-a")),
            (("--of", "etl-*", "--status", "cancelled"), those("etl-a etl-b", "cancelled")),
            (
                ("--of", "etl-*", "--label", "tier=1", "--owner", "ann", "--status", "success"),
                those("etl-a", "success"),
            ),
            (("--owner", "nobody"), []),
            (span, [one.task_id for one in of_window]),
            (("--since", "2h"), those("etl-a etl-b web")),
            (("--until", "2h"), []),
            (
                ("--owner", "ann", *span),
                [one.task_id for one in of_window if CONFIGS[one.config]["owner"] == "ann"],
            ),
            (
                ("--status", "failed", *span),
                [one.task_id for one in of_window if one.status is TaskStatus.FAILED],
            ),
            (("--live-of", "etl-*"), []),
        ):
            assert await command.ids(*args) == wanted, args
        assert await command.ids("--owner", "ann", "--limit", "2") == those("etl-a web")[:2]
        for args, names in (
            (("--of", "etl-*"), ["etl-a", "etl-b"]),
            (("--label", "team=data", "--owner", "bob"), ["etl-b"]),
            (("--owner", "ann"), ["etl-a", "web"]),
        ):
            assert await command.ids(*args, of="config") == names, args


async def test_what_lives_is_listed_of_fires_and_of_what_somebody_triggered(open_cluster):
    async with listing(open_cluster) as (cluster, command):
        slow = {"url": cluster.ledger.url("/gate/shut")}
        for name in CONFIGS:
            (stored,) = await cluster.client.get_configs([name])
            assert stored is not None
            config = attrs.evolve(stored.config, payload=slow)
            if name == "etl-b":
                config = attrs.evolve(config, every=timedelta(seconds=1), enabled=True)
            await cluster.client.put_config(config)
        by_hand = {
            name: (await cluster.client.trigger(name)).id for name in CONFIGS if name != "etl-b"
        }

        spec = cluster.spec()
        await cluster.client.submit(spec, task_id="later", delay_s=3600)

        async def all_run() -> bool:
            return len((await cluster.client.list(status="running")).tasks) == len(CONFIGS)

        await cluster.until_store(all_run, "all run")
        (fired,) = [one.id for one in (await cluster.client.list(live_of="etl-b")).tasks]
        for args, wanted in (
            (("--of", "etl-*"), {fired, by_hand["etl-a"]}),
            (("--live-of", "*"), {fired}),
            (("--owner", "ann"), set(by_hand.values())),
            (("--label", "team=data", "--status", "running"), {fired, by_hand["etl-a"]}),
            (("--status", "running"), {fired, *by_hand.values()}),
            (("--status", "running", "--since", "2h", "--of", "web"), {by_hand["web"]}),
            (("--status", "retrying"), set()),
            (("--status", "pending"), {"later"}),
            (("--status", "pending", "--of", "*"), set()),
            (("--owner", "ann", "--status", "failed"), set()),
            (("--owner", "ann", "--until", "0s"), set()),
        ):
            found = await command.ids(*args)
            assert set(found) == wanted, args
            assert len(found) == len(wanted), args
        cluster.ledger.open("shut")


async def test_what_cannot_be_meant_is_refused_in_words(open_cluster):
    async with listing(open_cluster) as (_, command):
        for args, said in (
            (("--of", "e*l"), "star"),
            (("--label", "team"), "KEY=VALUE"),
            (("--since", "1h", "--until", "2h"), "later than since"),
            (("--since", "soon"), "no instant"),
            (("--home", "ready", "--owner", "ann"), "cannot be combined"),
            (("--of", "a", "--live-of", "b"), "cannot be combined"),
            (("--live-of", "b", "--status", "failed"), "nothing that waits or runs is failed"),
        ):
            code, out, err = await command.run("task", "list", *args)
            assert (code, out) == (2, ""), (args, err)
            assert said in err, (args, err)
