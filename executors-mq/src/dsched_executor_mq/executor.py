"""The executor: one attempt is one message, confirmed, and its answer if one is asked for."""

import asyncio
from collections.abc import Mapping
from fnmatch import fnmatchcase
from uuid import uuid4

import attrs

from dsched.contracts import ExecutionContext, Executor, TaskFacts, TaskFailed
from dsched.contracts.executor.callback import callback_headers, callback_of
from dsched.contracts.executor.secrets import Redactor, SecretError, fill
from dsched.contracts.store.tasklogs import LineLevel, as_line
from dsched.model import JsonValue, Task, TaskResult
from dsched.wording import did_you_mean
from dsched_executor_mq.answers import MAX_MESSAGE_LENGTH, result_of
from dsched_executor_mq.brokers import Broker, Message
from dsched_executor_mq.connections import Connections
from dsched_executor_mq.failures import (
    bad_payload,
    forbidden,
    no_connection,
    no_reply,
    too_large,
    unconfirmed,
)
from dsched_executor_mq.headers import value_problem
from dsched_executor_mq.options import BrokerOptions, MqOptions
from dsched_executor_mq.payload import Order, parse_payload
from dsched_executor_mq.waiting import Answer, ConnectionLostError


@attrs.frozen(kw_only=True)
class _Attempt:
    """What the steps of one attempt share. ``secrets`` grows when the broker is opened."""

    context: ExecutionContext
    order: Order
    options: BrokerOptions
    message: Message
    shown: str
    secrets: list[str] = attrs.field(repr=False)

    @property
    def redactor(self) -> Redactor:
        """What takes every secret out of what leaves the attempt."""
        return Redactor(self.secrets)


class MqExecutor(Executor):
    """Publishes to the brokers of its options. Opened, used and closed in one event loop."""

    def __init__(self, options: MqOptions) -> None:
        self._options = options
        self._secrets = options.secrets
        self._connections = Connections(options)

    async def close(self) -> None:
        """Close every connection."""
        await self._connections.close()

    async def execute(self, context: ExecutionContext, task: Task) -> TaskResult:
        """Publish the message that ``task.spec.payload`` describes; see the README for codes."""
        order = parse_payload(None if task.spec is None else task.spec.payload)
        if not order.callback:
            return await self._publish(order, context, task, {})
        callback = callback_of(context)
        earlier = await callback.earlier()
        if earlier is not None:
            return earlier
        base = self._options.callback_url
        if not base:
            raise bad_payload(
                "the payload asks for a callback, and executors.mq.callback_url is not set: set it "
                "to the address of the API as consumers reach it"
            )
        token = await callback.expect()
        told = callback_headers(base, task.id, context.attempt, token)
        await self._publish(order, context, task, told)
        return await callback.wait()

    async def _publish(
        self, order: Order, context: ExecutionContext, task: Task, more: Mapping[str, str]
    ) -> TaskResult:
        """Publish the message, with more headers."""
        broker = self._broker_of(order)
        shown = f"{broker.kind} broker {order.broker!r}"
        try:
            async with asyncio.timeout(context.remaining()):
                message, values = await self._message(order, context, task)
                message = attrs.evolve(message, headers={**message.headers, **more})
        except TimeoutError:
            raise no_connection(f"{shown}: the attempt's time was over before it began") from None
        attempt = _Attempt(
            context=context,
            order=order,
            options=broker,
            message=message,
            shown=shown,
            secrets=values,
        )
        try:
            return await self._run(attempt)
        except TaskFailed as failure:
            masked = _masked(failure, attempt)
            _keep_line(context, masked.message)
            # Not from its cause, whose text may hold a secret that the broker has repeated.
            raise masked from None

    def _broker_of(self, order: Order) -> BrokerOptions:
        """The broker that a payload names. Raises `TaskFailed` if its target is not for it."""
        brokers, target = self._options.brokers, order.target
        broker = brokers.get(order.broker)
        if broker is None:
            raise bad_payload(
                f"broker: executors.mq.brokers has no {order.broker!r}; "
                f"{did_you_mean(order.broker, brokers)}"
            )
        if broker.kind != target.kind:
            raise bad_payload(
                f"broker: {order.broker!r} speaks {broker.kind}, which knows no {target.shown}"
            )
        if broker.targets and not any(fnmatchcase(target.path, one) for one in broker.targets):
            raise forbidden(
                f"{target.shown}: not one of the targets that executors.mq.brokers."
                f"{order.broker}.targets lets tasks publish to"
            )
        return broker

    async def _message(
        self, order: Order, context: ExecutionContext, task: Task
    ) -> tuple[Message, list[str]]:
        """The message without its reply address, and the values of the secrets in it."""
        try:
            values = await self._secrets.resolve(order.secrets)
        except SecretError as error:
            raise TaskFailed(str(error), "secret", retryable=error.passing) from None
        headers = {name: fill(value, values) for name, value in order.headers.items()}
        for name, value in headers.items():
            problem = value_problem(value)
            if problem is not None:
                text = f"headers.{name}: with its secret filled in it {problem}"
                raise TaskFailed(text, "secret", retryable=False)
        body, most = order.body_with(values), self._options.max_message_bytes
        if len(body) > most:
            raise too_large(
                f"the body has {len(body)} bytes; executors.mq.max_message_bytes allows {most}"
            )
        facts = TaskFacts.of(context, task)
        # A broker that drops repeats must not drop the next attempt's message that wants an answer,
        # nor its token.
        message_id = f"{task.id}/{context.attempt}" if order.reply or order.callback else task.id
        message = Message(
            target=order.target,
            headers={**headers, **facts.as_headers(), "traceparent": facts.traceparent},
            body=body,
            content_type=order.content_type,
            message_id=message_id,
        )
        return message, list(values.values())

    async def _run(self, attempt: "_Attempt") -> TaskResult:
        remaining, name = attempt.context.remaining, attempt.order.broker
        try:
            async with asyncio.timeout(remaining()) as opening:
                async with self._connections.slot(name):
                    opened = await self._connections.get(name)
                    attempt.secrets.extend(opened.secrets)
                    opening.reschedule(None)
                    return await self._exchange(attempt, opened.broker)
        except TimeoutError:
            raise no_connection("no connection by the attempt's deadline") from None

    async def _exchange(self, attempt: "_Attempt", broker: Broker) -> TaskResult:
        order, message = attempt.order, attempt.message
        if not order.reply:
            receipt = await _confirmed(attempt, broker, message)
            line = f"{attempt.shown}: {order.target.shown}: confirmed, {len(message.body):,} bytes"
            _keep_line(attempt.context, line)
            data = {"broker": order.broker, **receipt}
            return TaskResult(code="published", message="", data=data)
        correlation_id = uuid4().hex
        with broker.replies.expect(correlation_id) as waiting:
            message = attrs.evolve(
                message,
                correlation_id=correlation_id,
                reply_to=await _listening(attempt, broker, correlation_id),
            )
            await _confirmed(attempt, broker, message)
            answer = await _answered(attempt, waiting)
        _keep_line(attempt.context, f"{attempt.shown}: answered, {len(answer.body):,} bytes")
        return result_of(
            answer,
            redactor=attempt.redactor,
            max_bytes=self._options.max_message_bytes,
            max_result_bytes=self._options.max_result_bytes,
        )


async def _listening(attempt: _Attempt, broker: Broker, correlation_id: str) -> str:
    try:
        async with asyncio.timeout(attempt.context.remaining()):
            return await broker.reply_address(correlation_id)
    except TimeoutError:
        raise no_connection("the deadline came before answers could be listened for") from None


async def _confirmed(attempt: _Attempt, broker: Broker, message: Message) -> JsonValue:
    """Publish, and wait no longer for the confirm than the settings and the deadline say."""
    most = attempt.options.confirm_timeout.total_seconds()
    try:
        async with asyncio.timeout(min(most, attempt.context.remaining())):
            return await broker.publish(message)
    except TimeoutError:
        raise unconfirmed(
            f"{message.target.shown}: no confirm within confirm_timeout or by the deadline"
        ) from None


async def _answered(attempt: _Attempt, waiting: "asyncio.Future[Answer]") -> Answer:
    shown = attempt.order.target.shown
    try:
        async with asyncio.timeout(attempt.context.remaining()):
            return await waiting
    except TimeoutError:
        raise no_reply(f"{shown}: confirmed, but not answered by the deadline") from None
    except ConnectionLostError as error:
        raise no_reply(f"{shown}: confirmed, but answers cannot come any more ({error})") from None


def _keep_line(context: ExecutionContext, line: str) -> None:
    context.logger.debug("%s", line, extra=as_line(LineLevel.RESPONSE))


def _masked(failure: TaskFailed, attempt: _Attempt) -> TaskFailed:
    """The failure without secrets. Cut only after that, or half a secret would go unnoticed."""
    return TaskFailed(
        attempt.redactor.text(f"{attempt.shown}: {failure.message}")[:MAX_MESSAGE_LENGTH],
        code=failure.code,
        retryable=failure.retryable,
        data=failure.data,
    )
