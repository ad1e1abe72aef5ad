"""A virtual process: it runs a pod or a client's program, and may be frozen, cut off or killed."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import attrs

from dsched.contracts.store import Store
from dsched.contracts.store.outcomes import StoreUnavailableError
from dsched.engine.pod import Pod, PodPlan
from dsched.engine.runtime import Runtime
from dsched_testkit.kernel.line import Line, Proceed

OpenStore = Callable[[], Store]
Spawn = Callable[..., asyncio.Task[None]]
Ended = Callable[[Any, Exception | None], None]


@attrs.define(kw_only=True, eq=False)
class Process:
    """One operating system's process, by the clock ``now_s``, and its line to the store.

    A kind of process of its own overrides `out_of_reach` and `call`: when the store cannot be
    reached, and what becomes of a call that gets there. ``line`` is what a test breaks.
    """

    name: str
    now_s: Callable[[], float]
    line: Line = attrs.field(factory=Line)
    worker_id: str = ""
    frozen_until_s: float = 0.0
    leaving: bool = False
    dead: bool = False
    pod: Pod | None = attrs.field(init=False, default=None)
    task: asyncio.Task[None] | None = attrs.field(init=False, default=None)

    # --- its life ---

    def run_pod(
        self, plan: PodPlan, open_store: OpenStore, runtime: Runtime, *, spawn: Spawn, ended: Ended
    ) -> None:
        """Start a pod of the production code in here.

        ``ended`` gets this process and the error that ended the pod, or None; not after a cancel.
        """
        rest = runtime.sleep

        async def sleep(seconds: float) -> None:
            await rest(seconds)
            await self.resumed()

        @asynccontextmanager
        async def opened() -> AsyncIterator[Store]:
            yield self.handle(open_store(), "heartbeat")

        self.pod = Pod(
            plan,
            store=self.handle(open_store(), "main"),
            election_store=self.handle(open_store(), "election"),
            open_store=opened,
            runtime=attrs.evolve(runtime, sleep=sleep),
        )
        self.run(self._watched(self.pod, ended), spawn)

    def run(self, program: Coroutine[Any, Any, None], spawn: Spawn) -> None:
        """Start a program in here."""
        self.task = spawn(program, name=f"process {self.name}")

    async def _watched(self, pod: Pod, ended: Ended) -> None:
        try:
            await pod.run()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the finding
            ended(self, error)
        else:
            ended(self, None)

    def stop(self) -> None:
        """SIGTERM: the pod drains and leaves."""
        self.leaving = True
        if self.pod is not None:
            self.pod.stop()

    def kill(self) -> None:
        """SIGKILL: no call of its clean-up reaches the store."""
        self.dead = True
        if self.task is not None:
            self.task.cancel()

    @property
    def leads(self) -> bool:
        """Whether its pod thinks that it leads."""
        return self.pod is not None and self.pod.status().leading

    @property
    def frozen(self) -> bool:
        """Whether it is stopped just now, as SIGSTOP does."""
        return self.now_s() < self.frozen_until_s

    async def resumed(self) -> None:
        """Wait while it is frozen: it does nothing, and goes on where it was."""
        while self.frozen and not self.dead:  # noqa: ASYNC110
            await asyncio.sleep(self.frozen_until_s - self.now_s())

    # --- the store, as it has it ---

    def handle(self, store: Store, name: str) -> Store:
        """``store`` for the part of the process of that name."""
        return self.line.over(store, name, self.call)

    async def call(self, handle: str, step: str, proceed: Proceed) -> Any:
        """One call of a step."""
        return await self.passed(self.line.ruled(handle, step, proceed))

    async def passed(self, proceed: Proceed) -> Any:
        """A call that gets its answer if the process lives when it leaves and when it returns."""
        await self.resumed()
        if self.dead or self.out_of_reach():
            await asyncio.sleep(self.refused_after_s())
            raise StoreUnavailableError("the store is out of reach", maybe_applied=False)
        answer = await proceed()
        await self.resumed()
        if self.dead:
            raise StoreUnavailableError("the process is dead", maybe_applied=True)
        return answer

    def out_of_reach(self) -> bool:
        """Whether nothing gets to the store just now."""
        return False

    def refused_after_s(self) -> float:
        """How long a call takes that does not get to the store."""
        return 0.0
