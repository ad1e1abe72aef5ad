"""Finds a method in a set of descriptors and maps its messages from and to JSON."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias, TypeVar

import attrs
from google.protobuf import (
    any_pb2,
    api_pb2,
    descriptor_pb2,
    descriptor_pool,
    duration_pb2,
    empty_pb2,
    field_mask_pb2,
    json_format,
    message_factory,
    source_context_pb2,
    struct_pb2,
    timestamp_pb2,
    type_pb2,
    wrappers_pb2,
)
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from google.protobuf.message import DecodeError, EncodeError

from dsched.contracts import TaskFailed
from dsched.model import JsonValue, NotJsonError
from dsched.model.json import MAX_RESULT_BYTES, check_json, dumps
from dsched_executor_grpc.costs import definitions_in

# Mapping more than this takes milliseconds, for which the event loop must not be blocked.
INLINE_BYTES = 16 * 1024
# A class of messages takes a tenth of a millisecond to make, and so may any type in an `Any`.
_INLINE_DEFINITIONS = 500
# What the rest of a stored result (code, message) may need beside the data.
_RESULT_MARGIN_BYTES = 4 * 1024

_BUNDLED = {
    module.DESCRIPTOR.name: module.DESCRIPTOR.serialized_pb
    for module in (
        any_pb2, api_pb2, descriptor_pb2, duration_pb2, empty_pb2, field_mask_pb2,
        source_context_pb2, struct_pb2, timestamp_pb2, type_pb2, wrappers_pb2,
    )
}  # fmt: skip

_UNFIT = (
    json_format.Error, EncodeError, TypeError, ValueError, AttributeError, RecursionError,
)  # fmt: skip

# google.protobuf comes without types.
Pool: TypeAlias = Any
T = TypeVar("T")


@attrs.frozen(kw_only=True)
class Method:
    """A unary method: the classes of its messages, and the pool for what they may contain.

    ``inline``: its messages, if small, may be mapped on the event loop.
    """

    request_class: Any
    response_class: Any
    pool: Pool = attrs.field(repr=False)
    inline: bool = True

    def encode(self, request: JsonValue) -> bytes:
        """The request on the wire; raises a final `TaskFailed` naming the field that does not
        fit."""
        message = self.request_class()
        name = self.request_class.DESCRIPTOR.full_name
        if not isinstance(request, Mapping) and not name.startswith("google.protobuf."):
            raise _final(f"request: must be a mapping of the fields of {name}", "invalid_request")
        try:
            json_format.ParseDict(request, message, descriptor_pool=self.pool)
            wire: bytes = message.SerializeToString()
        except _UNFIT as error:
            reason = " ".join(str(error).split())
            raise _final(f"request: does not fit {name}: {reason}", "invalid_request") from error
        return wire

    def decode(self, wire: bytes) -> tuple[JsonValue, str]:
        """The response as JSON, and why there is none if it cannot be had.

        The call has succeeded and must not be repeated. So an answer that cannot be shown gives a
        remark, never a failure.
        """
        try:
            data = json_format.MessageToDict(
                self.response_class.FromString(wire), descriptor_pool=self.pool
            )
            check_json(data, "the response", MAX_RESULT_BYTES - _RESULT_MARGIN_BYTES)
        except NotJsonError as error:
            return None, f"the call succeeded; its response is not kept: {error}"
        except (DecodeError, json_format.Error, TypeError, ValueError, RecursionError) as error:
            name = self.response_class.DESCRIPTOR.full_name
            return None, f"the call succeeded; its response cannot be read as {name}: {error}"
        return data, ""


async def encode(method: Method, request: JsonValue) -> bytes:
    """`Method.encode`, in a thread when the request is large; nothing means an empty message."""
    given = {} if request is None else request
    size = len(dumps(given)) if method.inline else INLINE_BYTES + 1
    return await off_loop(size, lambda: method.encode(given))


async def decode(method: Method, wire: bytes) -> tuple[JsonValue, str]:
    """`Method.decode`, in a thread when the response is large."""
    size = len(wire) if method.inline else INLINE_BYTES + 1
    return await off_loop(size, lambda: method.decode(wire))


async def off_loop(size: int, work: Callable[[], T]) -> T:
    """Do the work, in a thread if it is on so many bytes that the loop would wait for it."""
    return work() if size <= INLINE_BYTES else await asyncio.to_thread(work)


def parse_set(content: bytes, name: str) -> list[FileDescriptorProto]:
    """The files of a serialized `FileDescriptorSet`; ``name`` says in errors which one it is."""
    try:
        files = list(FileDescriptorSet.FromString(content).file)
    except DecodeError as error:
        raise _final(
            f"{name} is not a serialized FileDescriptorSet; make one with "
            "`protoc --include_imports --descriptor_set_out=FILE`",
            "invalid_descriptors",
        ) from error
    return files


@attrs.define
class Schema:
    """A pool, what it costs, and the methods that were asked of it. Belongs to one event loop."""

    pool: Pool = attrs.field(repr=False)
    definitions: int
    methods: dict[tuple[str, str], Method] = attrs.field(factory=dict, repr=False)

    async def method(self, service: str, name: str) -> Method:
        """As `find_method`. To make the classes of many messages takes long, so a thread does
        it."""
        found = self.methods.get((service, name))
        if found is None:
            size = INLINE_BYTES + 1 if self.definitions > _INLINE_DEFINITIONS else 0
            found = await off_loop(size, lambda: find_method(self.pool, service, name))
            found = attrs.evolve(found, inline=size == 0)
            self.methods[service, name] = found
        return found


def build_schema(files: Sequence[FileDescriptorProto], name: str) -> Schema:
    """A schema of these files; a final `TaskFailed` where they cost too much, or one lacks."""
    definitions = definitions_in(files, name)
    return Schema(build_pool(files, name), definitions)


def build_pool(files: Iterable[FileDescriptorProto], name: str) -> Pool:
    """A pool of the files, each after those it imports; raises a final `TaskFailed` if one lacks.

    The files of `google/protobuf` that come with protobuf itself may be left out.
    """
    waiting = {file.name: file for file in files}
    for bundled in bundled_files(waiting.values()):
        waiting.setdefault(bundled.name, bundled)
    pool = descriptor_pool.DescriptorPool()
    added: set[str] = set()
    while waiting:
        ready = [file for file in waiting.values() if added.issuperset(file.dependency)]
        if not ready:
            known = added | set(waiting)
            lacking = {one for file in waiting.values() for one in file.dependency} - known
            raise _final(
                f"{name} is not complete: {', '.join(sorted(lacking)[:5]) or 'its files'} "
                f"{'is missing' if lacking else 'import each other'}; "
                "make it with `protoc --include_imports`",
                "invalid_descriptors",
            )
        for file in ready:
            try:
                pool.Add(file)
            except (TypeError, ValueError) as error:
                raise _final(f"{name} cannot be used: {error}", "invalid_descriptors") from error
            added.add(file.name)
            del waiting[file.name]
    return pool


def bundled_names() -> frozenset[str]:
    """The files that protobuf itself brings, so that nobody need be asked for them."""
    return frozenset(_BUNDLED)


def bundled_files(files: Iterable[FileDescriptorProto]) -> list[FileDescriptorProto]:
    """Those imports of ``files`` that protobuf itself brings, with all that they import."""
    found: dict[str, FileDescriptorProto] = {}
    wanted = [name for file in files for name in file.dependency]
    while wanted:
        name = wanted.pop()
        if name in _BUNDLED and name not in found:
            found[name] = FileDescriptorProto.FromString(_BUNDLED[name])
            wanted.extend(found[name].dependency)
    return list(found.values())


def find_method(pool: Pool, service: str, method: str) -> Method:
    """The method of that name; raises a final `TaskFailed` if there is none, or if it streams."""
    try:
        found = pool.FindServiceByName(service)
    except KeyError:
        raise _final(
            f"method: there is no service {service!r} in the descriptors", "method_not_found"
        ) from None
    descriptor = found.methods_by_name.get(method)
    if descriptor is None:
        names = ", ".join(sorted(found.methods_by_name)[:20]) or "none"
        raise _final(
            f"method: the service {service!r} has no method {method!r}; it has: {names}",
            "method_not_found",
        )
    if descriptor.client_streaming or descriptor.server_streaming:
        raise _final(
            f"method: {service}/{method} is a streaming method; only unary ones can be run as a "
            "task",
            "streaming_method",
        )
    try:
        return Method(
            request_class=message_factory.GetMessageClass(descriptor.input_type),
            response_class=message_factory.GetMessageClass(descriptor.output_type),
            pool=pool,
        )
    except RecursionError:
        raise _final(
            f"method: the types of {service}/{method} lead to one another in too long a chain",
            "invalid_descriptors",
        ) from None


def _final(message: str, code: str) -> TaskFailed:
    return TaskFailed(message, code=code, retryable=False)
