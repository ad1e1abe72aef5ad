"""Real brokers, consumers of their own clients, and executors that may reach them."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import pytest
from mq_brokers import KafkaMock, NatsServer, RabbitServer, missing_kafka, missing_rabbit
from mq_consumers import CONSUMERS, Consumer

from dsched.model import Task, TaskResult, TaskSpec, TaskStatus
from dsched_executor_mq.address import Kind
from dsched_executor_mq.executor import MqExecutor
from dsched_executor_mq.options import MqOptions
from dsched_executor_mq.plugin import open_executor
from dsched_testkit.servers import RedisServer

LOOPBACK = "127.0.0.0/8"


@attrs.define
class Context:
    """What the engine tells an attempt, with a real deadline on the monotonic clock."""

    idempotency_key: str
    timeout_s: float = 20.0
    attempt: int = 1
    epoch: int = 17
    worker_id: str = "worker-1"
    logger: logging.Logger = attrs.field(factory=lambda: logging.getLogger("task"))
    started: float = attrs.field(factory=time.monotonic)

    @property
    def deadline(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self.remaining())

    def remaining(self) -> float:
        return max(0.0, self.started + self.timeout_s - time.monotonic())

    def progress(self, done: float, total: float | None = None, note: str = "") -> None:
        raise AssertionError("the mq executor reports no progress")


@pytest.fixture(scope="session")
def processes() -> Iterator[Callable[[Kind], Any]]:
    """A running broker of a kind, started when first asked for, for all tests."""
    running: dict[Kind, Any] = {}
    made = {
        Kind.AMQP: RabbitServer,
        Kind.NATS: NatsServer,
        Kind.KAFKA: KafkaMock,
        Kind.REDIS: RedisServer,
    }

    def process_of(kind: Kind) -> Any:
        why = {Kind.AMQP: missing_rabbit, Kind.KAFKA: missing_kafka}.get(kind, str)()
        if why:
            pytest.skip(why)
        if kind not in running:
            running[kind] = made[kind]().__enter__()
        return running[kind]

    yield process_of
    for server in running.values():
        server.__exit__(None, None, None)


@pytest.fixture(scope="session")
def servers(processes: Callable[[Kind], Any]) -> Callable[[Kind], str]:
    """The address of the running broker of a kind."""
    return lambda kind: str(processes(kind).addr)


@pytest.fixture
async def closing() -> AsyncIterator[AsyncExitStack]:
    """What a test opens here is closed at its end, in reverse order."""
    async with AsyncExitStack() as stack:
        yield stack


@pytest.fixture
def consume(
    servers: Callable[[Kind], str], closing: AsyncExitStack
) -> Callable[..., Awaitable[Consumer]]:
    """A consumer with a target of its own, on the shared broker of its kind or on ``addr``."""

    async def opened(kind: Kind, addr: str = "") -> Consumer:
        consumer = CONSUMERS[kind](addr or servers(kind))
        await consumer.open()
        closing.push_async_callback(consumer.close)
        return consumer

    return opened


@pytest.fixture
def open_mq(closing: AsyncExitStack) -> Callable[..., Awaitable[MqExecutor]]:
    """An executor whose broker ``mine`` is the given one, and which may reach loopback."""

    async def opened(broker: Any, **more: Any) -> MqExecutor:
        options = MqOptions(brokers={"mine": broker}, **{"allow": [LOOPBACK], **more})
        executor = await closing.enter_async_context(open_executor(options))
        assert isinstance(executor, MqExecutor)
        return executor

    return opened


@pytest.fixture
def run() -> Callable[..., Awaitable[TaskResult]]:
    """Run one attempt of a task with this payload."""

    def started(
        executor: MqExecutor, payload: Any, task_id: str = "report@1700000000123", **more: Any
    ) -> Awaitable[TaskResult]:
        task = Task(
            id=task_id,
            status=TaskStatus.RUNNING,
            scheduled_ms=1_700_000_000_123,
            spec=TaskSpec(executor="mq", payload=payload),
        )
        return executor.execute(Context(task_id, **more), task)

    return started


@pytest.fixture
def until() -> Callable[..., Awaitable[None]]:
    """Wait for a condition, not for time."""

    async def wait(holds: Callable[[], Any], what: str, timeout_s: float = 15.0) -> None:
        async with asyncio.timeout(timeout_s):
            while not holds():
                await asyncio.sleep(0.01)
        assert holds(), what

    return wait
