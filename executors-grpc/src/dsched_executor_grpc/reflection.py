"""Asks a server for the descriptors of a service, by server reflection v1, else v1alpha."""

from collections.abc import Sequence
from functools import partial
from typing import Any, TypeAlias

import grpc
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.message import DecodeError

# The messages of v1 and v1alpha are the same on the wire; only the service's name differs.
from grpc_reflection.v1alpha.reflection_pb2 import (
    ServerReflectionRequest,
    ServerReflectionResponse,
)

from dsched.contracts import ExecutionContext, TaskFailed
from dsched_executor_grpc.costs import MAX_FILES
from dsched_executor_grpc.schema import bundled_names, off_loop
from dsched_executor_grpc.status import failure_of

MAX_DESCRIPTOR_BYTES = 4 * 1024 * 1024
_PATHS = tuple(
    f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo"
    for version in ("v1", "v1alpha")
)

_TOO_MUCH = f"it sends more than {MAX_FILES} files or {MAX_DESCRIPTOR_BYTES} bytes"

Metadata: TypeAlias = Sequence[tuple[str, str | bytes]]


async def reflect(
    channel: grpc.aio.Channel, service: str, metadata: Metadata, context: ExecutionContext
) -> list[FileDescriptorProto]:
    """The file of ``service`` and all that it imports, within the attempt's time.

    Raises `TaskFailed`: final when the server knows no reflection or no such service, else as the
    status of the call says.
    """
    for path in _PATHS:
        try:
            return await _Reflection(channel, path, metadata, context).files_of(service)
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.UNIMPLEMENTED:
                raise failure_of(error, f"server reflection of {service}") from error
    raise TaskFailed(
        "the target has no server reflection; switch it on there, or give `descriptor_set` in "
        "the payload",
        code="no_reflection",
        retryable=False,
    )


class _Reflection:
    """One enquiry: one question after another, until no import is missing.

    The service streams both ways, but a stream of one question and one answer looks on the wire
    like a unary call, and is made as one: it ends by itself, whatever the server does.
    """

    def __init__(
        self,
        channel: grpc.aio.Channel,
        path: str,
        metadata: Metadata,
        context: ExecutionContext,
    ) -> None:
        self._call = channel.unary_unary(
            path,
            request_serializer=ServerReflectionRequest.SerializeToString,
            response_deserializer=ServerReflectionResponse.FromString,
        )
        self._metadata = metadata
        self._context = context
        self._files: dict[str, FileDescriptorProto] = {}
        self._wanted: set[str] = set()
        self._bytes = 0

    async def files_of(self, service: str) -> list[FileDescriptorProto]:
        question = ServerReflectionRequest(file_containing_symbol=service)
        await self._take(await self._ask(question), service)
        while self._wanted:
            name = min(self._wanted)
            question = ServerReflectionRequest(file_by_filename=name)
            await self._take(await self._ask(question), name)
            if name in self._wanted:
                raise _unusable(f"it does not send {name[:200]}, which its descriptors import")
        return list(self._files.values())

    async def _ask(self, question: Any) -> Any:
        call = self._call(question, timeout=self._context.remaining(), metadata=self._metadata)
        try:
            return await call
        finally:
            call.cancel()

    async def _take(self, answer: Any, wanted: str) -> None:
        if answer.HasField("error_response"):
            problem = answer.error_response
            raise TaskFailed(
                f"method: the target's server reflection does not know {wanted}: "
                f"{problem.error_message or problem.error_code}",
                code="method_not_found",
                retryable=False,
            )
        contents = answer.file_descriptor_response.file_descriptor_proto
        if len(contents) > MAX_FILES:  # many of one name, or of none, are one file
            raise _unusable(_TOO_MUCH)
        self._bytes += sum(len(content) for content in contents)
        if self._bytes > MAX_DESCRIPTOR_BYTES:
            raise _unusable(_TOO_MUCH)
        for content in contents:
            # A thread helps little for one file, but others have their turn between two.
            file = await off_loop(len(content), partial(_parsed, content))
            self._files[file.name] = file
            self._wanted.discard(file.name)
            if len(file.dependency) > MAX_FILES:
                raise _unusable(_TOO_MUCH)
            self._wanted.update(set(file.dependency) - self._files.keys() - bundled_names())
            if len(self._files) + len(self._wanted) > MAX_FILES:
                raise _unusable(_TOO_MUCH)


def _parsed(content: bytes) -> FileDescriptorProto:
    try:
        return FileDescriptorProto.FromString(content)
    except DecodeError as error:
        raise _unusable("it sends descriptors that cannot be read") from error


def _unusable(why: str) -> TaskFailed:
    return TaskFailed(
        f"the target's server reflection cannot be used: {why}; give `descriptor_set` in the "
        "payload",
        code="invalid_descriptors",
        retryable=False,
    )
