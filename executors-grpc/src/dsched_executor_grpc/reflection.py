"""Asks a server for the descriptors of a service, by server reflection v1, else v1alpha."""

from collections.abc import Sequence
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
from dsched_executor_grpc.schema import MAX_FILES, bundled_files
from dsched_executor_grpc.status import failure_of

MAX_DESCRIPTOR_BYTES = 16 * 1024 * 1024
_PATHS = tuple(
    f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo"
    for version in ("v1", "v1alpha")
)

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
        self._bytes = 0

    async def files_of(self, service: str) -> list[FileDescriptorProto]:
        self._take(
            await self._ask(ServerReflectionRequest(file_containing_symbol=service)), service
        )
        while missing := self._missing():
            name = missing[0]
            self._take(await self._ask(ServerReflectionRequest(file_by_filename=name)), name)
            if name not in self._files:
                raise _unusable(f"it does not send {name}, which its descriptors import")
        return list(self._files.values())

    def _missing(self) -> list[str]:
        known = {file.name for file in bundled_files(self._files.values())} | set(self._files)
        return sorted({one for file in self._files.values() for one in file.dependency} - known)

    async def _ask(self, question: Any) -> Any:
        call = self._call(question, timeout=self._context.remaining(), metadata=self._metadata)
        try:
            return await call
        finally:
            call.cancel()

    def _take(self, answer: Any, wanted: str) -> None:
        if answer.HasField("error_response"):
            problem = answer.error_response
            raise TaskFailed(
                f"method: the target's server reflection does not know {wanted}: "
                f"{problem.error_message or problem.error_code}",
                code="method_not_found",
                retryable=False,
            )
        for content in answer.file_descriptor_response.file_descriptor_proto:
            self._bytes += len(content)
            try:
                file = FileDescriptorProto.FromString(content)
            except DecodeError as error:
                raise _unusable("it sends descriptors that cannot be read") from error
            self._files[file.name] = file
            if self._bytes > MAX_DESCRIPTOR_BYTES or len(self._files) > MAX_FILES:
                raise _unusable(
                    f"it sends more than {MAX_FILES} files or {MAX_DESCRIPTOR_BYTES} bytes"
                )


def _unusable(why: str) -> TaskFailed:
    return TaskFailed(
        f"the target's server reflection cannot be used: {why}; give `descriptor_set` in the "
        "payload",
        code="invalid_descriptors",
        retryable=False,
    )
