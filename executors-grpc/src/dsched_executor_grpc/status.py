"""Turns the status of a call that failed into a `TaskFailed`: worth a retry, and when."""

import functools
import re
from typing import Any

import grpc
from google.protobuf import (
    any_pb2,
    descriptor_pb2,
    descriptor_pool,
    duration_pb2,
    message_factory,
)
from google.protobuf.message import DecodeError

from dsched.contracts import TaskFailed

# Statuses after which the target may answer otherwise. `CANCELLED` here comes from the server: our
# own cancel never becomes a status.
RETRYABLE = frozenset(
    {
        "UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "ABORTED", "INTERNAL",
        "UNKNOWN", "CANCELLED",
    }
)  # fmt: skip

_MILLISECONDS = re.compile(r"[0-9]{1,12}")

# gRPC itself says this, on either side, about a message over the limit. A retry would be as large.
_TOO_LARGE = "message larger than max"


def failure_of(error: grpc.aio.AioRpcError, what: str) -> TaskFailed:
    """The failure that a status means; ``what`` begins its message.

    Honours the server's ``grpc-retry-pushback-ms`` (a negative or malformed one forbids a retry)
    and, where there is none, `google.rpc.RetryInfo` in the status details.
    """
    name = error.code().name
    detail = error.details() or "no details"
    retryable = name in RETRYABLE and _TOO_LARGE not in detail
    retry_after: float | None = None
    trailers: dict[str, Any] = dict(error.trailing_metadata() or ())
    pushback = trailers.get("grpc-retry-pushback-ms")
    if pushback is not None:
        if isinstance(pushback, str) and _MILLISECONDS.fullmatch(pushback):
            retry_after = int(pushback) / 1000
        else:
            retryable = False
    elif "grpc-status-details-bin" in trailers:
        retry_after = retry_delay_s(trailers["grpc-status-details-bin"])
    return TaskFailed(
        f"{what}: {name}: {detail}",
        code=name.lower(),
        retryable=retryable,
        retry_after=retry_after if retryable else None,
    )


def retry_delay_s(details: bytes) -> float | None:
    """The delay that a serialized `google.rpc.Status` asks for; None if it asks for none."""
    status_class, info_class = _rpc_classes()
    try:
        for detail in status_class.FromString(details).details:
            if detail.type_url.rpartition("/")[2] == "google.rpc.RetryInfo":
                delay = info_class.FromString(detail.value).retry_delay
                return max(0.0, float(delay.seconds) + float(delay.nanos) / 1e9)
    except DecodeError:
        return None  # the server's own business; its status code is still good
    return None


@functools.cache
def _rpc_classes() -> tuple[Any, Any]:
    """`google.rpc.Status` and `RetryInfo`, of which only the fields read here are declared."""
    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(
        name="dsched/rpc_status.proto",
        package="google.rpc",
        syntax="proto3",
        dependency=[any_pb2.DESCRIPTOR.name, duration_pb2.DESCRIPTOR.name],
    )
    file.message_type.add(name="Status").field.add(
        name="details",
        number=3,
        label=field.LABEL_REPEATED,
        type=field.TYPE_MESSAGE,
        type_name=".google.protobuf.Any",
    )
    file.message_type.add(name="RetryInfo").field.add(
        name="retry_delay",
        number=1,
        label=field.LABEL_OPTIONAL,
        type=field.TYPE_MESSAGE,
        type_name=".google.protobuf.Duration",
    )
    pool = descriptor_pool.DescriptorPool()
    for known in (any_pb2, duration_pb2):
        pool.AddSerializedFile(known.DESCRIPTOR.serialized_pb)
    pool.Add(file)
    status, info = (
        message_factory.GetMessageClass(pool.FindMessageTypeByName(f"google.rpc.{name}"))
        for name in ("Status", "RetryInfo")
    )
    return status, info
