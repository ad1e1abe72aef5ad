"""The executor contract of the testkit, against real brokers, with answers by a real consumer."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest
from mq_consumers import CONSUMERS, Consumer

from dsched.contracts import Executor
from dsched.model import Task
from dsched_executor_mq.address import Kind
from dsched_executor_mq.options import MqOptions
from dsched_executor_mq.plugin import open_executor
from dsched_executor_mq.waiting import end
from dsched_testkit.suites.executor import Case, ExecutorContract


class MqContract(ExecutorContract):
    """A case is answered if its body says so; else it hangs."""

    kind: Kind
    consumer: Consumer

    @pytest.fixture(autouse=True)
    def _broker(self, servers):
        self.consumer = CONSUMERS[self.kind](servers(self.kind))
        self.unanswered: set[str] = set()

    def open_executor(self) -> AbstractAsyncContextManager[Executor]:
        return self._opened()

    def succeeds(self) -> Case:
        payload = self.consumer.payload(json={"twice": 2}, reply=True)
        return Case(payload=payload, data={"body": {"twice": 4}, "truncated": False})

    def fails(self) -> Case:
        return Case(payload=self.consumer.payload(body="fail", reply=True))

    def hangs(self) -> Case:
        return Case(payload=self.consumer.payload(body="hang", reply=True))

    async def still_running(self, task: Task) -> bool:
        """The consumer has the message and has not answered, and somebody waits for it."""
        waiting = sum(len(one.broker.replies) for one in self.executor._connections._open.values())
        return task.id in self.unanswered and waiting > 0

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[Executor]:
        await self.consumer.open()
        options = MqOptions(brokers={"mine": self.consumer.options()}, allow=["127.0.0.0/8"])
        async with open_executor(options) as self.executor:
            consuming = asyncio.create_task(self._consume())
            try:
                yield self.executor
            finally:
                await end(consuming)
                assert consuming.cancelled(), consuming.exception()
        await self.consumer.close()

    async def _consume(self) -> None:
        while True:
            taken = await self.consumer.take()
            if taken.body == b"hang":
                self.unanswered.add(taken.headers["idempotency-key"])
            elif taken.body == b"fail":
                await self.consumer.answer(taken, b"", {"X-Dsched-Error": "no such report"})
            else:
                await self.consumer.answer(taken, b'{"twice": 4}')


@pytest.mark.slow
class TestAmqp(MqContract):
    kind = Kind.AMQP


class TestNats(MqContract):
    kind = Kind.NATS


class TestKafka(MqContract):
    kind = Kind.KAFKA


class TestRedis(MqContract):
    kind = Kind.REDIS
