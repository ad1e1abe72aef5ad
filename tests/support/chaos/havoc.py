"""Carries the plan of faults out on pods and store, and writes down what was really done."""

import asyncio
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import attrs
from pods import PodProcess, clean_environment

from chaos.exporter import Exporter
from chaos.plan import Planned
from chaos.stages.base import Stage
from dsched.client import Client, ClientError
from dsched.contracts.store.outcomes import StoreError
from dsched.model import JsonValue
from dsched_testkit.evidence import Recorder

_STOP_S = 90.0
_START_MS = 60_000
_WATCH_S = 0.25
MOST_IN_TROUBLE = 2  # at once: somebody has to notice what became of the others
_AT_ONCE = ("script_flush", "client_kill")  # over in a moment, so also on top of another trouble
_PARTS = {
    "sentinel_kill": "sentinel",
    "host_clock_step": "clock",
    **{kind: kind for kind in _AT_ONCE},
}


@attrs.define(kw_only=True)
class Havoc:
    """Pods and what is done to them. A pod, and the store, have one trouble at a time."""

    stage: Stage
    recorder: Recorder
    exporter: Exporter
    client: Client
    folder: Path
    config_files: dict[str, Path]
    environment: dict[str, str]
    pods: dict[str, PodProcess] = attrs.field(factory=dict)
    retired: list[PodProcess] = attrs.field(factory=list)
    done: Counter[str] = attrs.field(factory=Counter)
    left_out: Counter[str] = attrs.field(factory=Counter)
    violations: list[str] = attrs.field(factory=list)
    starts: list[tuple[str, int]] = attrs.field(factory=list)
    on_leaders: list[tuple[str, int, str]] = attrs.field(factory=list)
    stepped: list[tuple[int, int]] = attrs.field(factory=list)  # least, greatest time shown
    _busy: set[str] = attrs.field(factory=set)

    def start(self, name: str) -> None:
        """Start a pod, in the place of one that has ended."""
        if name in self.pods:
            self.retired.append(self.pods[name])
        env = clean_environment(POD_NAME=name, **self.environment)
        argv = ["--config", str(self.config_files[name]), "--log-format", "json"]
        argv += ["--app", "chaos.functions"]
        program = [sys.executable, "-m", "chaos.clocks", str(self.stage.clocks[name].path)]
        self.starts.append((name, _now_ms()))
        self.pods[name] = PodProcess(name, argv, self.folder, env, program)

    async def run(self, plan: list[Planned]) -> None:
        """Carry the plan out. Returns when its last fault is over."""
        began_s = time.monotonic()
        watching = asyncio.create_task(self._watch())
        try:
            async with asyncio.TaskGroup() as group:
                for planned in plan:
                    await asyncio.sleep(max(0.0, began_s + planned.at_s - time.monotonic()))
                    group.create_task(self._perform(planned))
        finally:
            watching.cancel()
            await asyncio.wait([watching], timeout=5)
        if not watching.cancelled():
            watching.result()

    async def _perform(self, planned: Planned) -> None:
        act = getattr(self, f"_{planned.kind}", None)
        if act is not None:
            why = await self._on_pod(planned, act)
        else:
            why = await self._on_store(planned)
        if why is None:
            self.done[planned.kind] += 1
        else:
            self.left_out[f"{planned.kind}: {why}"[:80]] += 1

    async def _on_pod(self, planned: Planned, act: Any) -> str | None:
        free = [name for name in sorted(self.pods) if name not in self._busy]
        if len(free) + MOST_IN_TROUBLE <= len(self.pods):
            return "enough pods are in trouble"
        name = free[int(planned.target * len(free))]
        if planned.on_leader and self.exporter.leader in free:
            name = self.exporter.leader
        self._busy.add(name)
        try:
            why: str | None = await act(name, planned)
            return why
        finally:
            self._busy.discard(name)

    async def _on_store(self, planned: Planned) -> str | None:
        part = _PARTS.get(planned.kind, "store")
        if part in self._busy and planned.kind not in _AT_ONCE:
            return f"the {part} is in trouble"
        self._busy.add(part)
        at_ms = _now_ms()
        try:
            if planned.kind == "host_clock_step":
                await self._step_clock(next(iter(self.pods)), planned)
                return None
            why = await self.stage.acts()[planned.kind](planned)
        finally:
            self._busy.discard(part)
        if why is None:
            self._tell(planned.kind, at_ms)
        return why

    def _tell(self, kind: str, at_ms: int, **more: JsonValue) -> None:
        self.recorder.write("fault", kind=kind, at_ms=at_ms, upto_ms=_now_ms(), **more)

    def _if_leader(self, name: str, kind: str) -> None:
        if name == self.exporter.leader:
            self.on_leaders.append((name, _now_ms(), kind))

    async def _kill(self, name: str, planned: Planned) -> None:
        self._if_leader(name, "kill")
        at_ms = _now_ms()
        self.pods[name].kill()
        worker = self.exporter.workers.get(name)
        self.recorder.write("fault", kind="kill", at_ms=at_ms, worker=worker, pod=name)
        await asyncio.sleep(planned.lasts_s)
        self.start(name)

    async def _stop(self, name: str, planned: Planned) -> None:
        self._if_leader(name, "stop")
        at_ms = _now_ms()
        self.pods[name].pause()
        try:
            await asyncio.sleep(planned.lasts_s)
        finally:
            self.pods[name].resume()
        self._tell("stop", at_ms, pod=name)

    async def _terminate(self, name: str, planned: Planned) -> str | None:
        pod = self.pods[name]
        if pod.code is not None or not pod.heeds_sigterm:
            return "it is not up yet"
        self._if_leader(name, "terminate")
        at_ms = _now_ms()
        pod.terminate()
        await self.ends_well(pod)
        await asyncio.sleep(planned.lasts_s)
        self._tell("terminate", at_ms, pod=name)
        self.start(name)
        return None

    async def ends_well(self, pod: PodProcess) -> None:
        """A pod that was asked to stop does, and with exit code 0."""
        try:
            code = await pod.ended(_STOP_S)
        except AssertionError:
            self.violations.append(f"pod: {pod.name} did not end within {_STOP_S:g} s of SIGTERM")
            pod.end()
            return
        if code != 0:
            self.violations.append(f"pod: {pod.name} ended with {code} after SIGTERM")

    async def _step_down(self, name: str, planned: Planned) -> str | None:
        leader, at_ms = self.exporter.leader, _now_ms()
        try:
            async with asyncio.timeout(5):
                await self.client.step_down(why="chaos")
        except (ClientError, StoreError, TimeoutError) as error:
            return type(error).__name__
        self.on_leaders.append((leader, at_ms, "step_down"))
        self._tell("step_down", at_ms)
        return None

    async def _clock_step(self, name: str, planned: Planned) -> None:
        await self._step_clock(name, planned)

    async def _step_clock(self, name: str, planned: Planned) -> None:
        """Set a wall clock ahead or back, and right again. Where it is the watcher's own too, the
        fault lasts from the least to the greatest time that it shows."""
        clock, seen_ms = self.stage.clocks[name], [_now_ms()]
        clock.ms = round(planned.step_s * 1000)
        seen_ms.append(_now_ms())
        try:
            await asyncio.sleep(planned.lasts_s)
        finally:
            seen_ms.append(_now_ms())
            clock.ms = 0
        seen_ms.append(_now_ms())
        about = {} if self.stage.one_clock else {"pod": name}
        self.recorder.write(
            "fault",
            kind=planned.kind,
            at_ms=min(seen_ms),
            upto_ms=max(seen_ms),
            step_s=planned.step_s,
            **about,
        )
        if self.stage.one_clock:
            self.stepped.append((min(seen_ms), max(seen_ms)))

    async def _line_cut(self, name: str, planned: Planned) -> None:
        await self._on_line(name, planned, self.stage.lines[name].cut)

    async def _line_silent(self, name: str, planned: Planned) -> None:
        await self._on_line(name, planned, self.stage.lines[name].silence)

    async def _line_slow(self, name: str, planned: Planned) -> None:
        def slow() -> None:
            self.stage.lines[name].delay_s = 0.02 + planned.target * 0.8

        await self._on_line(name, planned, slow)

    async def _on_line(self, name: str, planned: Planned, act: Any) -> None:
        at_ms = _now_ms()
        act()
        try:
            await asyncio.sleep(planned.lasts_s)
        finally:
            self.stage.lines[name].heal()
        self._tell(planned.kind, at_ms, pod=name)

    async def _watch(self) -> None:
        """No pod ends by itself, whatever is done to its store."""
        while True:
            await asyncio.sleep(_WATCH_S)
            for name, pod in list(self.pods.items()):
                if name not in self._busy and pod.code is not None:
                    self.violations.append(f"pod: {name} ended by itself with {pod.code}")
                    self.start(name)

    async def stop_all(self) -> None:
        """SIGTERM to all, in the end."""
        for pod in self.pods.values():
            if pod.code is None:
                pod.terminate()
        for pod in self.pods.values():
            await self.ends_well(pod)

    def stepped_within(self, from_ms: int, upto_ms: int) -> bool:
        """Whether the watcher's own clock was stepped then, so that the time between is unknown."""
        return any(from_ms <= last and first <= upto_ms for first, last in self.stepped)

    def slowest_start_s(self) -> float:
        """How long a pod took at most from its start until its worker was registered.

        Those in whose time the watcher's own clock was stepped do not count: nobody knows it.
        """
        slowest_ms = 0
        for name, started_ms in self.starts:
            if self.stepped_within(started_ms, started_ms + _START_MS):
                continue
            later = [ms for pod, ms in self.exporter.registered if pod == name and ms >= started_ms]
            again = [ms for pod, ms in self.starts if pod == name and ms > started_ms]
            if later and (not again or min(later) <= min(again)):
                slowest_ms = max(slowest_ms, min(later) - started_ms)
        return slowest_ms / 1000

    def end(self) -> None:
        """Nothing of it stays."""
        for pod in [*self.retired, *self.pods.values()]:
            pod.end()


def _now_ms() -> int:
    return int(time.time() * 1000)
