"""A cluster under test: a real store, real pods, an HTTP ledger, and a client in the test."""

import asyncio
import contextlib
import json
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
from ledger import Ledger
from pods import PodProcess, clean_environment, until

from dsched.assembly import store_opener
from dsched.client import Client
from dsched.config import read_settings
from dsched.contracts.store import Store
from dsched.contracts.store.events import Event, EventKind
from dsched.contracts.store.outcomes import StoreUnavailableError
from dsched.loading import load_catalogue
from dsched.model import RetryPolicy, Task, TaskSpec, TaskStatus

Settings = dict[str, Any]

# Short times, so that what takes half a minute by default takes seconds here.
SHORT: Settings = {
    "schedule": {
        "leader_lock_ttl": "3s",
        "leader_renew_interval": "1s",
        "scan_interval": "1s",
        "dispatch_timeout": "3s",
    },
    "worker": {
        "heartbeat_interval": "1s",
        "heartbeat_timeout": "3s",
        "max_concurrent_tasks": 8,
        "drain_timeout": "10s",
    },
    "executors": {"http": {"allow": ["127.0.0.0/8"]}},
    "observers": {},
}


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> Settings:
    """Settings with some replaced, section by section."""
    out = dict(base)
    for key, value in over.items():
        inner = out.get(key)
        both = isinstance(inner, dict) and isinstance(value, Mapping)
        out[key] = merged(inner, value) if both else value
    return out


@attrs.define(kw_only=True)
class Cluster:
    """Pods on one store. Everything that it starts it stops."""

    folder: Path
    ledger: Ledger
    settings: Settings
    config_file: Path
    store: Store
    client: Client
    pods: dict[str, PodProcess] = attrs.field(factory=dict)
    retired: list[PodProcess] = attrs.field(factory=list)

    def start(self, name: str, *argv: str, **settings: Any) -> PodProcess:
        """Start a pod; ``settings`` change the cluster's for it, as a file of its own."""
        config = self.config_file
        if settings:
            config = self.folder / f"{name}.yaml"
            config.write_text(json.dumps(merged(self.settings, settings)))
        if name in self.pods:
            self.retired.append(self.pods[name])
        env = clean_environment(POD_NAME=name)
        pod = PodProcess(
            name, ["--config", str(config), "--log-format", "json", *argv], self.folder, env
        )
        self.pods[name] = pod
        return pod

    def tasks_file(self, tasks: Sequence[Mapping[str, Any]], name: str = "tasks.yaml") -> str:
        """Write a task file."""
        path = self.folder / name
        path.write_text(json.dumps({"tasks": list(tasks)}))
        return str(path)

    async def start_three(self, *argv: str) -> None:
        """Three pods of every role; returns when all work and one leads."""
        for name in ("pod-a", "pod-b", "pod-c"):
            self.start(name, *argv)
        await self.workers_ready(3)
        await self.leader()

    async def pause(self, pod: PodProcess) -> None:
        """Stop a pod (SIGSTOP), and not while it holds the one write lock of an SQLite file.

        A process that stands still within a write holds up all who write to that file, for as
        long as it stands. That is how locks of files are, and not what the tests ask about.
        """
        path = self.settings.get("sqlite", {}).get("path")
        while True:
            pod.pause()
            if path is None or await asyncio.to_thread(_can_be_written, path):
                return
            pod.resume()

    async def until(
        self, condition: Callable[[], object], what: str, timeout_s: float = 20.0
    ) -> None:
        """Wait for something that can be seen without asking the store."""
        await until(condition, what, timeout_s, list(self.pods.values()))

    async def until_store(
        self, condition: Callable[[], Awaitable[object]], what: str, timeout_s: float = 20.0
    ) -> Any:
        """Wait until the store's answer is true, and give that answer. No answer is not one yet."""
        end_s = time.monotonic() + timeout_s
        while True:
            found: object = None
            with contextlib.suppress(StoreUnavailableError):
                found = await condition()
            if found:
                return found
            await self.until(lambda: True, what)
            if time.monotonic() > end_s:
                tails = "\n".join(pod.tail() for pod in self.pods.values())
                raise AssertionError(f"not within {timeout_s:g} s: {what}\n{tails}")
            await asyncio.sleep(0.05)

    async def workers_ready(self, count: int, timeout_s: float = 30.0) -> None:
        """Wait until so many workers are registered and alive."""

        async def alive() -> bool:
            workers = await self.client.workers()
            return count == sum(not (worker.gone or worker.draining) for worker in workers)

        await self.until_store(alive, f"{count} workers are alive", timeout_s)

    async def leader(self, *, other_than: str = "", timeout_s: float = 20.0) -> str:
        """The fence of the leader, as soon as there is one (other than that)."""

        async def found() -> str | None:
            fence = await self.store.leader()
            return fence if fence and fence != other_than else None

        return str(await self.until_store(found, "somebody leads", timeout_s))

    def pod_of(self, fence_or_worker: str) -> PodProcess:
        """The pod of a fence ``epoch:token:pod`` or of a worker id ``pod-suffix``."""
        name = fence_or_worker.rpartition(":")[2]
        return self.pods[name] if name in self.pods else self.pods[name.rpartition("-")[0]]

    async def events(self) -> list[Event]:
        """The whole event log."""
        return [event async for event in self.client.events()]

    async def history(self, task_ids: Sequence[str]) -> str:
        """What the log says of these tasks, for the message of a failure."""
        rows = []
        for event in await self.events():
            rows += [
                f"{event.at_ms} {event.kind} by {event.by}: {dict(item)}"
                for item in event.items
                if item.get("task") in task_ids
            ]
        return "\n".join(rows)

    async def leader_events(self) -> list[Event]:
        return [event for event in await self.events() if event.kind is EventKind.LEADER]

    def spec(self, path: str = "/run", **more: Any) -> TaskSpec:
        """An HTTP task on the ledger."""
        retry = RetryPolicy(max_retries=3, retry_delay=_HALF_S, backoff_rate=1.0)
        fields: dict[str, Any] = {"retry": retry, **more}
        return TaskSpec(executor="http", payload={"url": self.ledger.url(path)}, **fields)

    async def submit(self, ids: Sequence[str], path: str = "/run", **more: Any) -> None:
        for task_id in ids:
            await self.client.submit(self.spec(path, **more), task_id=task_id)

    async def get_all(self, ids: Sequence[str]) -> dict[str, Task]:
        """These tasks as they are now."""
        found = {}
        for start in range(0, len(ids), 100):
            for task in await self.store.get(ids[start : start + 100], full=True):
                assert task is not None, "a task is not to be found any more"
                found[task.id] = task
        return found

    async def all_end(self, ids: Sequence[str], timeout_s: float = 30.0) -> dict[str, Task]:
        """Wait until all these tasks have ended."""
        open_ids = list(ids)
        found: dict[str, Task] = {}

        async def ended() -> bool:
            found.update(await self.get_all(open_ids))
            open_ids[:] = [one for one in open_ids if not found[one].status.terminal]
            return not open_ids

        try:
            await self.until_store(ended, "all tasks end", timeout_s)
        except AssertionError as error:
            states = [
                (one, found[one].status, found[one].home, found[one].reason)
                for one in open_ids
                if one in found
            ]
            raise AssertionError(
                f"{len(open_ids)} tasks have not ended: {states[:10]}\n{error}"
            ) from None
        return found

    async def all_succeed(self, ids: Sequence[str], timeout_s: float = 30.0) -> dict[str, Task]:
        """Wait until all these tasks have ended, and well."""
        tasks = await self.all_end(ids, timeout_s)
        bad = [
            (t.id, t.status, t.reason, t.error)
            for t in tasks.values()
            if t.status is not TaskStatus.SUCCESS
        ]
        assert bad == [], bad
        return tasks

    async def stop_all(self) -> dict[str, int]:
        """SIGTERM to all pods that run; their exit codes."""
        running = {name: pod for name, pod in self.pods.items() if pod.code is None}
        for pod in running.values():
            await self.until(lambda pod=pod: pod.heeds_sigterm, f"{pod.name} is up")
            pod.terminate()
        return {name: await pod.ended() for name, pod in running.items()}

    def end(self) -> None:
        """Nothing of it stays."""
        for pod in [*self.retired, *self.pods.values()]:
            pod.end()


def opener(
    config_file: Path, settings: Mapping[str, Any]
) -> Callable[[], AbstractAsyncContextManager[Store]]:
    """How to open the store of these settings, which are written to that file first."""
    config_file.write_text(json.dumps(settings))
    catalogue = load_catalogue()
    return store_opener(read_settings(str(config_file), {}, {}, catalogue), catalogue)


_HALF_S = RetryPolicy().retry_delay / 20


@asynccontextmanager
async def cluster_on(
    store_settings: Settings, folder: Path, settings: Settings | None = None
) -> AsyncIterator[Cluster]:
    """A cluster without pods yet on a store that answers."""
    whole = merged(merged(SHORT, settings or {}), store_settings)
    whole = {key: value for key, value in whole.items() if value != {}}
    config_file = folder / "dsched.yaml"
    async with Ledger() as ledger, opener(config_file, whole)() as store:
        cluster = Cluster(
            folder=folder,
            ledger=ledger,
            settings=whole,
            config_file=config_file,
            store=store,
            client=Client(store, by="test"),
        )
        try:
            yield cluster
        finally:
            cluster.end()


def _can_be_written(path: str) -> bool:
    """Whether a writer gets its turn at this SQLite file within two seconds."""
    with contextlib.closing(sqlite3.connect(path, timeout=2, isolation_level=None)) as file:
        try:
            file.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return False
        file.execute("ROLLBACK")
        return True
