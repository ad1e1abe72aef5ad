"""One connection for each broker, opened when first needed and shared by all attempts."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import attrs

from dsched.contracts.executor.secrets import SecretError, fill, references
from dsched_executor_mq.address import Kind
from dsched_executor_mq.brokers import Broker, Login, opener_of
from dsched_executor_mq.failures import no_connection
from dsched_executor_mq.options import BrokerOptions, MqOptions, TlsOptions
from dsched_executor_mq.reach import Reach, tls_context


@attrs.frozen
class Opened:
    """An open broker, and the values of its own secrets, which nothing may repeat."""

    broker: Broker
    secrets: tuple[str, ...] = attrs.field(repr=False)


class Connections:
    """The brokers of one executor, in one loop."""

    def __init__(self, options: MqOptions) -> None:
        self._options = options
        self._open: dict[str, Opened] = {}
        self._opening: dict[str, asyncio.Task[Opened]] = {}
        self._slots = {
            name: asyncio.Semaphore(broker.max_in_flight)
            for name, broker in options.brokers.items()
        }

    @asynccontextmanager
    async def slot(self, name: str) -> AsyncIterator[None]:
        """Room for one attempt: ``max_in_flight`` of the broker bounds how many there are."""
        async with self._slots[name]:
            yield

    async def get(self, name: str) -> Opened:
        """The broker, connected. All callers that ask while it is being opened share that one try.

        Raises `TaskFailed`. The caller bounds the time; one that gives up does not end the try.
        """
        opened = self._open.get(name)
        if opened is not None and opened.broker.is_open:
            return opened
        opening = self._opening.get(name)
        if opening is None:
            opening = asyncio.create_task(self._replace(name), name=f"opens {name}")
            self._opening[name] = opening
            opening.add_done_callback(partial(self._has_opened, name))
        return await asyncio.shield(opening)

    async def close(self) -> None:
        """Close every connection; attempts that still wait for an answer fail."""
        opening = list(self._opening.values())
        for task in opening:
            task.cancel()
        if opening:
            await asyncio.wait(opening)
        while self._open:
            _, opened = self._open.popitem()
            await opened.broker.close()

    def _has_opened(self, name: str, opening: "asyncio.Task[Opened]") -> None:
        self._opening.pop(name, None)
        if not opening.cancelled():
            opening.exception()  # the callers were told; perhaps none is left, so read it here

    async def _replace(self, name: str) -> Opened:
        gone = self._open.pop(name, None)
        if gone is not None:
            await gone.broker.close()
        options = self._options.brokers[name]
        try:
            async with asyncio.timeout(options.connect_timeout.total_seconds()):
                opened = await self._connect(name, options)
        except TimeoutError:
            raise no_connection(
                f"no connection within connect_timeout of {options.connect_timeout}"
            ) from None
        self._open[name] = opened
        return opened

    async def _connect(self, name: str, options: BrokerOptions) -> Opened:
        opener = await asyncio.to_thread(opener_of, Kind(options.kind))
        wanted = [*references(options.username), *references(options.password)]
        try:
            values = await self._options.secrets.resolve(wanted)
        except SecretError as error:
            raise no_connection(f"executors.mq.brokers.{name}: {error}") from None
        password = fill(options.password, values)
        tls = None
        if options.address.secure:
            tls = await tls_context(options.tls or TlsOptions(), self._options.tls_dir)
        login = Login(
            name=name,
            options=options,
            reach=Reach(policy=self._options.policy, tls=tls),
            username=fill(options.username, values),
            password=password,
            max_message_bytes=self._options.max_message_bytes,
        )
        secrets = (*values.values(), *([password] if password else []))
        return Opened(await opener(login), secrets)
