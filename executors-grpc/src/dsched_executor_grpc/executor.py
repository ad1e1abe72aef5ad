"""The executor: one attempt is one unary call, within the attempt's time."""

import asyncio
import base64
import binascii
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from hashlib import blake2b
from typing import TypeAlias

import attrs
import grpc
from google.protobuf.descriptor_pb2 import FileDescriptorProto

from dsched.contracts import ExecutionContext, Executor, TaskFacts, TaskFailed
from dsched.contracts.executor.secrets import (
    NOTHING_SECRET,
    Redactor,
    SecretError,
    Secrets,
    fill,
    fill_json,
)
from dsched.contracts.store.tasklogs import LineLevel, as_line
from dsched.model import JsonValue, Task, TaskResult
from dsched.model.json import dumps
from dsched_executor_grpc.channels import Channels
from dsched_executor_grpc.endpoint import Endpoint, find_endpoint
from dsched_executor_grpc.files import read_set, unusable
from dsched_executor_grpc.options import GrpcOptions
from dsched_executor_grpc.payload import GrpcCall, parse_payload
from dsched_executor_grpc.reflection import Metadata, reflect
from dsched_executor_grpc.schema import (
    Method,
    Schema,
    build_schema,
    decode,
    encode,
    parse_set,
)
from dsched_executor_grpc.status import failure_of

MAX_SCHEMAS = 256
# For all kept descriptors together: at worst some 200 MB, a tenth of that for usual services.
MAX_KEPT_DEFINITIONS = 100_000
MAX_MESSAGE_LENGTH = 2000
EXCERPT_LENGTH = 2048
MAX_SHOWN_MESSAGE_BYTES = 64 * 1024
# A newly deployed server may have new fields; descriptors that no longer fit are loaded at once.
SCHEMA_LIFETIME_S = 300.0

Load: TypeAlias = Callable[[], Awaitable[Sequence[FileDescriptorProto]]]


class Schemas:
    """Descriptors by where they come from: a bounded cache whose entries grow old.

    One at a time is made, or many servers together would cost more than one may.
    """

    def __init__(self) -> None:
        self._cached: OrderedDict[object, tuple[Schema, float]] = OrderedDict()
        self._making = asyncio.Lock()

    def __len__(self) -> int:
        """How many are kept."""
        return len(self._cached)

    @property
    def definitions(self) -> int:
        """How much is kept, in definitions."""
        return sum(schema.definitions for schema, _ in self._cached.values())

    async def method(self, call: GrpcCall, key: object, load: Load) -> tuple[Method, bytes]:
        """The method of a call and its request on the wire.

        A cached pool in which the method is missing, or which the request does not fit, is loaded
        once more before the attempt fails: the server may have been deployed anew.
        """
        schema = self._fresh(key)
        if schema is not None:
            try:
                return await _map(schema, call)
            except TaskFailed:
                self.forget(key)
        name = call.set_file or ("descriptor_set" if call.inline_set else "server reflection")
        files = await load()
        async with self._making:
            schema = await asyncio.to_thread(build_schema, files, name)
        self._keep(key, schema)
        return await _map(schema, call)

    def _keep(self, key: object, schema: Schema) -> None:
        self._cached[key] = (schema, asyncio.get_running_loop().time())
        self._cached.move_to_end(key)
        while len(self._cached) > MAX_SCHEMAS or self.definitions > MAX_KEPT_DEFINITIONS:
            self._cached.popitem(last=False)

    def forget(self, key: object) -> None:
        """Load anew the next time."""
        self._cached.pop(key, None)

    def _fresh(self, key: object) -> Schema | None:
        schema, loaded = self._cached.get(key, (None, 0.0))
        if schema is None or asyncio.get_running_loop().time() - loaded > SCHEMA_LIFETIME_S:
            return None
        self._cached.move_to_end(key)
        return schema


async def _map(schema: Schema, call: GrpcCall) -> tuple[Method, bytes]:
    method = await schema.method(call.service, call.method)
    return method, await encode(method, call.request)


@attrs.frozen(kw_only=True)
class _Attempt:
    """What the steps of one attempt share."""

    context: ExecutionContext
    call: GrpcCall
    endpoint: Endpoint
    channel: grpc.aio.Channel
    metadata: Metadata
    facts: Metadata


class GrpcExecutor(Executor):
    """Calls any unary method of any service. Opened, used and closed in one event loop."""

    def __init__(self, options: GrpcOptions) -> None:
        self._options = options
        self._policy = options.policy
        self._secrets = options.secrets
        self._channels = Channels(
            max_channels=options.max_channels, max_message_bytes=options.max_message_bytes
        )
        self._schemas = Schemas()

    async def close(self) -> None:
        """Close every channel."""
        await self._channels.close()

    async def execute(self, context: ExecutionContext, task: Task) -> TaskResult:
        """Make the call that ``task.spec.payload`` describes; see the README for codes."""
        if task.spec is None:
            raise TaskFailed("the task has no payload", code="invalid_payload", retryable=False)
        call = parse_payload(task.spec.payload)
        remaining = context.remaining()
        try:
            if remaining <= 0:
                raise TimeoutError
            async with asyncio.timeout(remaining):
                endpoint = await find_endpoint(call, self._policy, self._options.tls_dir)
                call, metadata, redactor = await _fill(call, self._secrets)
        except TimeoutError as error:
            raise TaskFailed(
                f"the attempt's time was over before {call.authority} could be called",
                code="deadline_exceeded",
            ) from error
        async with self._channels.borrow(endpoint) as channel:
            attempt = _Attempt(
                context=context,
                call=call,
                endpoint=endpoint,
                channel=channel,
                metadata=metadata,
                facts=_facts(context, task),
            )
            try:
                return await self._run(attempt, redactor)
            except TaskFailed as failure:
                if failure.code == "deadline_exceeded":
                    # Perhaps the connection is dead and nobody has noticed: connect anew.
                    self._channels.forget(endpoint, channel)
                masked = _masked(failure, redactor)
                _keep_line(context, masked.message)
                # Not from its cause, whose text may hold a secret that the server has repeated.
                raise masked from None

    async def _run(self, attempt: _Attempt, redactor: Redactor) -> TaskResult:
        key, load = self._source(attempt)
        method, request = await self._schemas.method(attempt.call, key, load)
        most = self._options.max_message_bytes
        if len(request) > most:
            raise TaskFailed(
                f"request: has {len(request)} bytes; executors.grpc.max_message_bytes allows "
                f"{most}",
                code="request_too_large",
                retryable=False,
            )
        try:
            response = await _invoke(attempt, request)
        except TaskFailed as failure:
            if failure.code == "unimplemented":
                self._schemas.forget(key)
            raise
        data, remark = await decode(method, response)
        shown = redactor.json(data)
        _keep_answer(attempt, shown, len(response))
        return TaskResult(code="OK", message=redactor.text(remark)[:MAX_MESSAGE_LENGTH], data=shown)

    def _source(self, attempt: _Attempt) -> tuple[object, Load]:
        """Where the descriptors come from: the key of that place, and how to load them."""
        call = attempt.call
        if call.inline_set:
            digest = blake2b(call.inline_set).digest()
            return digest, partial(asyncio.to_thread, parse_set, call.inline_set, "descriptor_set")
        if call.set_file:
            load = partial(self._read_set, call.set_file)
            return call.set_file, partial(asyncio.to_thread, load)
        return (attempt.endpoint, call.service), partial(
            reflect, attempt.channel, call.service, attempt.metadata, attempt.context
        )

    def _read_set(self, name: str) -> list[FileDescriptorProto]:
        return parse_set(read_set(self._options.descriptor_dir, name), name)


async def _invoke(attempt: _Attempt, request: bytes) -> bytes:
    """Make the call; a cancellation reaches the server before it is raised on."""
    call = attempt.channel.unary_unary(attempt.call.path)(
        request,
        timeout=attempt.context.remaining(),
        metadata=(*attempt.metadata, *attempt.facts),
        wait_for_ready=False,
    )
    try:
        response: bytes = await call
    except grpc.aio.AioRpcError as error:
        what = f"{attempt.call.path[1:]} at {attempt.call.authority}"
        raise failure_of(error, what) from error
    finally:
        call.cancel()
    return response


async def _fill(call: GrpcCall, secrets: Secrets) -> tuple[GrpcCall, Metadata, Redactor]:
    """The call and its metadata with their secrets in place, and what takes them out again."""
    try:
        values = await secrets.resolve(call.secrets)
    except SecretError as error:
        raise unusable(str(error), passing=error.passing) from None
    pairs: list[tuple[str, str | bytes]] = []
    for key, text in call.metadata:
        try:
            pairs.append((key, _metadata_value(key, fill(text, values))))
        except ValueError as error:
            raise unusable(f"metadata.{key}: its secret {error}") from None
    if not values:
        return call, pairs, NOTHING_SECRET
    filled = attrs.evolve(call, request=fill_json(call.request, values))
    return filled, pairs, Redactor(values.values())


def _metadata_value(key: str, value: str) -> str | bytes:
    if key.endswith("-bin"):
        try:
            return base64.b64decode(value, validate=True)
        except binascii.Error:
            raise ValueError("must be base64, because the name ends in -bin") from None
    if not (value.isascii() and value.isprintable()):
        raise ValueError("must be one line of printable ASCII")
    return value


def _facts(context: ExecutionContext, task: Task) -> Metadata:
    """What every target is told, in the lower case that metadata needs, and the trace."""
    facts = TaskFacts.of(context, task)
    headers = [(name.lower(), value) for name, value in facts.as_headers().items()]
    return [*headers, ("traceparent", facts.traceparent)]


def _keep_answer(attempt: _Attempt, data: JsonValue, size: int) -> None:
    """Keep the beginning of the message in the task's log; a large one is not written out."""
    what = f"{attempt.call.path[1:]} at {attempt.call.authority}: OK, {size:,} bytes"
    _keep_line(attempt.context, what)
    if data is not None and size <= MAX_SHOWN_MESSAGE_BYTES:
        _keep_line(attempt.context, dumps(data)[:EXCERPT_LENGTH])


def _keep_line(context: ExecutionContext, line: str) -> None:
    context.logger.debug("%s", line, extra=as_line(LineLevel.RESPONSE))


def _masked(failure: TaskFailed, redactor: Redactor) -> TaskFailed:
    """The failure without secrets. Cut only after that, or half a secret would go unnoticed."""
    return TaskFailed(
        redactor.text(failure.message)[:MAX_MESSAGE_LENGTH],
        code=failure.code,
        retryable=failure.retryable,
        retry_after=failure.retry_after,
        data=failure.data,
    )
