"""One run: a cluster of real pods, clients, faults, healing, rest, and the checker's verdict."""

import asyncio
import contextlib
import json
import random
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import attrs
from cluster import opener

from chaos.exporter import ConfigCalls, Exporter
from chaos.figures import Figures, figures_of
from chaos.havoc import Havoc
from chaos.machine import Stalls
from chaos.plan import Planned, draw
from chaos.stages.base import Stage
from chaos.stages.opening import open_stage
from chaos.testimony import final_run, live_tasks, lost_unseen, run_line, write_state
from chaos.users import Users, random_configs
from dsched.client import Client
from dsched.contracts.store import Store
from dsched.contracts.store.outcomes import StoreError
from dsched_testkit.checker import check
from dsched_testkit.evidence import Recorder, read, task_items

PODS = ["pod-a", "pod-b", "pod-c"]
LEFT_ALONE = frozenset({"every-1", "every-1300", "cron-2", "cron-some"})
REST_S = 60.0  # and whatever the machine stood still meanwhile
START_S = 60.0
SETTINGS: dict[str, Any] = {
    "schedule": {
        "leader_lock_ttl": "3s",
        "leader_renew_interval": "800ms",
        "scan_interval": "1s",
        "dispatch_timeout": "3s",
    },
    "worker": {
        "heartbeat_interval": "800ms",
        "heartbeat_timeout": "3s",
        "max_concurrent_tasks": 8,
        "drain_timeout": "2s",
    },
    "executors": {"local": {"max_processes": 1}},
    "metrics": {"port": 0},
}


@attrs.frozen(kw_only=True)
class Options:
    """What to run. ``folder`` gets the evidence, the logs and the store's files.

    ``only``: these kinds of fault alone. ``store``: another plugin's, in place of the backend's.
    ``plugins``: folders where the pods find further distributions.
    """

    backend: str
    seed: int
    seconds: float
    folder: Path
    only: frozenset[str] | None = None
    store: str | None = None
    plugins: tuple[Path, ...] = ()
    rest_s: float = REST_S


@attrs.frozen(kw_only=True)
class Verdict:
    """What came out: the figures, and every violation in words."""

    figures: Figures
    violations: tuple[str, ...]
    unknown: tuple[str, ...]


def evidence_files(folder: Path) -> list[Path]:
    """In the order in which they are to be read."""
    fixed = [folder / name for name in ("store.jsonl", "clients.jsonl", "faults.jsonl")]
    return [*fixed, *sorted(folder.glob("ledger-*.jsonl")), folder / "end.jsonl"]


async def run(options: Options) -> Verdict:
    """Run it to the end, and judge it."""
    evidence = options.folder / "evidence"
    evidence.mkdir(parents=True)
    async with contextlib.AsyncExitStack() as stack:
        names = ("store", "clients", "faults", "end")
        files = {name: stack.enter_context(Recorder(evidence / f"{name}.jsonl")) for name in names}
        stage = await stack.enter_async_context(_opened_stage(options))
        files["store"].write("run", **run_line(options.seed, options.backend, stage.loss_bound_s))
        store = await stack.enter_async_context(
            opener(options.folder / "watcher.yaml", stage.settings(None))()
        )
        harness = _Harness(options=options, stage=stage, store=store, files=files)
        stack.callback(harness.havoc.end)
        await harness.run()
    found = read(evidence_files(evidence))
    report = check(found)
    havoc, exporter = harness.havoc, harness.exporter
    unexplained = exporter.unexplained(stage.cuts, stage.loss_bound_s or 0.0)
    violations = (*report.violations, *unexplained, *havoc.violations)
    figures = figures_of(found, havoc, harness.stalls, violations)
    return Verdict(figures=figures, violations=violations, unknown=report.unknown)


def _opened_stage(options: Options) -> contextlib.AbstractAsyncContextManager[Stage]:
    return open_stage(options.backend, options.folder, PODS, options.store)


class _Harness:
    """The parts of a run, and its course."""

    def __init__(
        self, *, options: Options, stage: Stage, store: Store, files: dict[str, Recorder]
    ) -> None:
        self.options, self.stage, self.store, self.files = options, stage, store, files
        self.stalls, calls = Stalls(), ConfigCalls()
        chance = random.Random(f"{options.seed}:users")
        client = Client(store, by="chaos")
        self.exporter = Exporter(files["store"], calls)
        self.users = Users(
            client=client,
            recorder=files["clients"],
            calls=calls,
            chance=chance,
            configs=random_configs(chance),
            left_alone=LEFT_ALONE if stage.one_clock else frozenset(),
        )
        self.havoc = Havoc(
            stage=stage,
            recorder=files["faults"],
            exporter=self.exporter,
            client=client,
            folder=options.folder,
            config_files={pod: self._config(pod) for pod in PODS},
            environment=_environment(options),
        )

    def _config(self, pod: str) -> Path:
        path = self.options.folder / f"{pod}.yaml"
        path.write_text(json.dumps(SETTINGS | self.stage.settings(pod)))
        return path

    async def run(self) -> None:
        """From the first pod's start to the last line of evidence."""
        exporting = asyncio.create_task(self.exporter.run(self.store))
        measuring = asyncio.create_task(self.stalls.measure())
        try:
            for name in PODS:
                self.havoc.start(name)
            await self.users.put_all()
            await self._until_all_work()
            await self._suffer()
            await self.stage.heal()
            await self.users.delete_all()
            rest = await self._rest()
            await self.havoc.stop_all()
        finally:
            await _ended(exporting)
            await _ended(measuring)
        await self.exporter.catch_up(self.store)
        await self._testify(rest)

    async def _until_all_work(self) -> None:
        end_s = time.monotonic() + START_S
        while set(PODS) - set(self.exporter.workers):
            if time.monotonic() > end_s:
                tails = "\n".join(pod.tail() for pod in self.havoc.pods.values())
                raise AssertionError(f"not all pods worked within {START_S:g} s\n{tails}")
            await asyncio.sleep(0.1)

    async def _suffer(self) -> None:
        """Clients and faults; the last fault is a kill, and nothing is broken after it."""
        asked = self.options
        plan = draw(asked.seed, asked.backend, asked.seconds, only=asked.only)
        using = asyncio.create_task(self.users.run())
        last = Planned(at_s=0, kind="kill", target=0.5, on_leader=False, lasts_s=0.5)
        try:
            await _first(using, self.havoc.run(plan))
            await _first(using, self.havoc.run([last]))
        finally:
            await _ended(using)

    async def _rest(self) -> dict[str, Any]:
        """Wait until every task that the log knows has ended."""
        began_s, stalled_s = time.monotonic(), self.stalls.total_s
        while True:
            live = live_tasks(self.exporter.known)
            after_s = time.monotonic() - began_s
            bound_s = self.options.rest_s + self.stalls.total_s - stalled_s
            if (not live and await self._caught_up()) or after_s > bound_s:
                why = f"{sorted(live)[:10]}" if live else ""
                return {"waiting": len(live), "after_s": after_s, "bound_s": bound_s, "why": why}
            await asyncio.sleep(0.2)

    async def _caught_up(self) -> bool:
        with contextlib.suppress(StoreError, TimeoutError):
            page = await self.store.events(self.exporter.known[-1].cursor, 10)
            return not page.events
        return False

    async def _testify(self, rest: dict[str, Any]) -> None:
        """The state in which the store is at the end."""
        started_s = self.havoc.slowest_start_s()
        bound_ms = int((3 + 1 + 3 + 2 + started_s + 2 * self.stalls.worst_s) * 1000)
        self.files["end"].write("run", **final_run(bound_ms))
        ids = set(self.users.acknowledged)
        known, end = self.exporter.known, self.files["end"]
        present = await write_state(self.store, end, known, ids)
        present |= {str(item["task"]) for _, item in task_items(known)}
        cuts, bound_s = self.stage.cuts, self.stage.loss_bound_s or 0.0
        acked_s, losses = self.users.acknowledged_s, self.exporter.losses
        for from_s, upto_s in lost_unseen(acked_s, present, losses, cuts, bound_s):
            self.files["end"].write("lost", kept=known[-1].cursor, from_s=from_s, upto_s=upto_s)
        self.files["end"].write("rest", **rest)


async def _first(background: asyncio.Task[None], main: Coroutine[Any, Any, None]) -> None:
    """Do the second; if the first ends before, that is an error of its own."""
    working = asyncio.create_task(main)
    await asyncio.wait({background, working}, return_when=asyncio.FIRST_COMPLETED)
    if not working.done():
        await _ended(working)
    if background.done():
        background.result()
        raise AssertionError("the clients ended before the faults")
    working.result()


async def _ended(task: asyncio.Task[None]) -> None:
    """Cancel and wait; what it failed of is raised."""
    task.cancel()
    await asyncio.wait([task], timeout=30)
    if task.done() and not task.cancelled():
        task.result()


def _environment(options: Options) -> dict[str, str]:
    path = [Path(__file__).parents[1], *options.plugins]
    return {
        "CHAOS_LEDGER": str(options.folder / "evidence"),
        "PYTHONPATH": ":".join(map(str, path)),
    }
