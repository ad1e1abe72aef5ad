"""Real gRPC servers on loopback, and what an attempt is handed, for all tests here."""

import asyncio
import logging
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import attrs
import grpc
import pytest
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from grpc_reflection.v1alpha import reflection
from grpc_reflection.v1alpha._async import ReflectionServicer
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest
from grpc_tools import protoc

from dsched.contracts import Executor
from dsched.model import JsonValue, Task, TaskResult, TaskSpec, TaskStatus
from dsched_executor_grpc.options import GrpcOptions
from dsched_executor_grpc.plugin import open_executor

PROTO = """
syntax = "proto3";
package shop;
import "google/protobuf/empty.proto";
import "google/protobuf/struct.proto";
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";
message Order {
  string order_id = 1;
  int32 count = 2;
  google.protobuf.Timestamp due_at = 3;
  google.protobuf.Struct extra = 4;
  bytes blob = 5;
}
message Receipt {
  string order_id = 1;
  int32 count = 2;
  google.protobuf.Timestamp due_at = 3;
  google.protobuf.Struct extra = 4;
  bytes blob = 5;
}
service Orders {
  rpc Close(Order) returns (Receipt);
  rpc Watch(Order) returns (stream Receipt);
  rpc Fill(stream Order) returns (Receipt);
  rpc Name(google.protobuf.StringValue) returns (google.protobuf.StringValue);
  rpc Ping(google.protobuf.Empty) returns (google.protobuf.Empty);
}
"""
SERVICE = "shop.Orders"


@attrs.define
class Context:
    """What an attempt knows about itself."""

    timeout_s: float = 10.0
    attempt: int = 1
    epoch: int = 7
    idempotency_key: str = "report@1700000000000"
    worker_id: str = "w1"
    logger: logging.Logger = attrs.field(factory=lambda: logging.getLogger("task"))
    started: float = attrs.field(factory=time.monotonic)

    @property
    def deadline(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self.remaining())

    def remaining(self) -> float:
        return max(0.0, self.started + self.timeout_s - time.monotonic())

    def progress(self, done: float, total: float | None = None, note: str = "") -> None:
        raise AssertionError("a unary call has no progress")


class Descriptors:
    """The compiled proto: as a descriptor set, and as message classes for the servers."""

    def __init__(self, proto: str, folder: Path, others: Mapping[str, str]) -> None:
        for name, text in {"shop.proto": proto, **others}.items():
            (folder / name).write_text(text)
        out = folder / "shop.binpb"
        arguments = [f"-I{folder}", f"-I{Path(protoc.__file__).parent / '_proto'}"]
        arguments += ["--include_imports", f"--descriptor_set_out={out}", "shop.proto"]
        assert protoc.main(["protoc", *arguments]) == 0
        self.content = out.read_bytes()
        self.pool = descriptor_pool.DescriptorPool()
        for file in FileDescriptorSet.FromString(self.content).file:
            self.pool.Add(file)

    def message(self, name: str) -> Any:
        return message_factory.GetMessageClass(self.pool.FindMessageTypeByName(name))


Behaviour = Callable[[Any, grpc.aio.ServicerContext], Awaitable[Any]]


class Target(grpc.GenericRpcHandler):
    """A server whose `behaviour` the test sets; it records the calls it has seen."""

    def __init__(self, descriptors: Descriptors) -> None:
        self.descriptors = descriptors
        self.behaviour: Behaviour = self.echo
        self.seen: list[dict[str, Any]] = []
        self.entered = asyncio.Event()
        self.cancelled = asyncio.Event()
        self.reflections = 0
        self.port = 0

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def service(self, details: grpc.HandlerCallDetails) -> Any:
        path = details.method
        if "ServerReflection" in path:
            self.reflections += 1
        if not path.startswith(f"/{SERVICE}/"):
            return None
        service = self.descriptors.pool.FindServiceByName(SERVICE)
        method = service.methods_by_name.get(path.rpartition("/")[2])
        if method is None:
            return None
        return grpc.unary_unary_rpc_method_handler(
            self._handle,
            request_deserializer=message_factory.GetMessageClass(method.input_type).FromString,
            response_serializer=lambda message: message.SerializeToString(),
        )

    async def _handle(self, request: Any, context: grpc.aio.ServicerContext) -> Any:
        self.seen.append(dict(context.invocation_metadata() or ()))
        self.seen[-1]["remaining"] = context.time_remaining()
        self.entered.set()
        try:
            return await self.behaviour(request, context)
        except asyncio.CancelledError:
            self.cancelled.set()
            raise

    async def echo(self, request: Any, context: grpc.aio.ServicerContext) -> Any:
        if request.DESCRIPTOR.full_name == "shop.Order":
            return self.descriptors.message("shop.Receipt").FromString(request.SerializeToString())
        return request


StartTarget = Callable[..., Awaitable[Target]]


@asynccontextmanager
async def serving(
    target: Target,
    *,
    reflects: str | Callable[..., Any] = "v1alpha",
    host: str = "127.0.0.1",
    port: int = 0,
    credentials: grpc.ServerCredentials | None = None,
) -> AsyncIterator[grpc.aio.Server]:
    """Run a server for ``target``; ``reflects``: v1, v1alpha, nothing, or a handler for v1."""
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers((target,))
    if reflects == "v1alpha":
        reflection.enable_server_reflection([SERVICE], server, pool=target.descriptors.pool)
    elif reflects:
        # The package brings v1alpha only; its messages are those of v1.
        own = ReflectionServicer([SERVICE], pool=target.descriptors.pool).ServerReflectionInfo
        handler = grpc.stream_stream_rpc_method_handler(
            own if reflects == "v1" else reflects,
            request_deserializer=ServerReflectionRequest.FromString,
            response_serializer=lambda message: message.SerializeToString(),
        )
        handlers = {"ServerReflectionInfo": handler}
        name = "grpc.reflection.v1.ServerReflection"
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(name, handlers),))
    where = f"{host}:{port}"
    if credentials is None:
        target.port = server.add_insecure_port(where)
    else:
        target.port = server.add_secure_port(where, credentials)
    await server.start()
    try:
        yield server
    finally:
        await server.stop(None)


@pytest.fixture(scope="session")
def descriptors(tmp_path_factory: pytest.TempPathFactory) -> Descriptors:
    return Descriptors(PROTO, tmp_path_factory.mktemp("proto"), {})


@pytest.fixture(scope="session")
def make_descriptors(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Descriptors]:
    def make(proto: str, others: Mapping[str, str] | None = None) -> Descriptors:
        return Descriptors(proto, tmp_path_factory.mktemp("proto"), others or {})

    return make


@pytest.fixture
def proto() -> str:
    return PROTO


@pytest.fixture
def make_context() -> type[Context]:
    return Context


@pytest.fixture
def serve() -> Callable[..., Any]:
    return serving


@pytest.fixture
async def start_target(descriptors: Descriptors) -> AsyncIterator[StartTarget]:
    async with AsyncExitStack() as stack:

        async def start(**settings: Any) -> Target:
            target = Target(settings.pop("descriptors", descriptors))
            await stack.enter_async_context(serving(target, **settings))
            return target

        yield start


@pytest.fixture
async def target(start_target: StartTarget) -> Target:
    return await start_target()


@pytest.fixture
async def open_grpc() -> AsyncIterator[Callable[..., Awaitable[Executor]]]:
    """Opens executors that may call loopback; closes them before the servers stop."""
    async with AsyncExitStack() as stack:

        async def start(**options: Any) -> Executor:
            settings = {"allow": ["127.0.0.0/8", "localhost"], **options}
            late = await stack.enter_async_context(open_executor(GrpcOptions(**settings)))
            return await late.opened()

        yield start


@pytest.fixture
def free_port() -> int:
    """A port of loopback on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def run() -> Callable[..., Awaitable[TaskResult]]:
    """Runs one attempt at a payload."""

    async def run_once(
        executor: Executor,
        payload: JsonValue,
        *,
        context: Context | None = None,
        task_id: str = "report@1700000000000",
    ) -> TaskResult:
        task = Task(
            id=task_id,
            status=TaskStatus.RUNNING,
            scheduled_ms=1_700_000_000_000,
            spec=TaskSpec(executor="grpc", type="rpc", payload=payload),
        )
        return await executor.execute(context or Context(), task)

    return run_once
