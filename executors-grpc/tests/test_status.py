"""Which answers of a target are worth a retry, and when."""

import grpc
import pytest
from google.protobuf import any_pb2, duration_pb2

from dsched.contracts import TaskFailed
from dsched_executor_grpc.status import retry_delay_s

RETRYABLE = [
    "UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "ABORTED", "INTERNAL", "UNKNOWN",
    "CANCELLED",
]  # fmt: skip
FINAL = [
    "INVALID_ARGUMENT", "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "UNAUTHENTICATED",
    "FAILED_PRECONDITION", "OUT_OF_RANGE", "UNIMPLEMENTED", "DATA_LOSS",
]  # fmt: skip


@pytest.fixture
def call(target, open_grpc, run):
    """Makes a call that the server ends with this status and these trailers."""

    async def make(code, detail="told you", trailers=()):
        async def abort(request, context):
            await context.abort(grpc.StatusCode[code], detail, tuple(trailers))

        target.behaviour = abort
        payload = {"target": target.address, "method": "shop.Orders/Close"}
        with pytest.raises(TaskFailed) as failed:
            await run(await open_grpc(), payload)
        return failed.value

    return make


def test_the_table_holds_every_status_there_is():
    assert {code.name for code in grpc.StatusCode} == {*RETRYABLE, *FINAL, "OK"}


@pytest.mark.parametrize(
    ("code", "retryable"),
    [*((code, True) for code in RETRYABLE), *((code, False) for code in FINAL)],
)
async def test_a_status_becomes_a_failure_that_is_worth_a_retry_or_not(code, retryable, call):
    failure = await call(code)

    assert (code.lower(), retryable, None) == (
        failure.code,
        failure.retryable,
        failure.retry_after,
    )
    assert f"{code}: told you" in failure.message
    assert "shop.Orders/Close at 127.0.0.1:" in failure.message


def with_retry_info(seconds, nanos=0):
    """The bytes of a google.rpc.Status with one RetryInfo, written without its own classes."""
    delay = duration_pb2.Duration(seconds=seconds, nanos=nanos).SerializeToString()
    info = any_pb2.Any(
        type_url="type.googleapis.com/google.rpc.RetryInfo",
        value=bytes([0x0A, len(delay)]) + delay,
    ).SerializeToString()
    return b"\x08\x0e\x12\x04busy" + bytes([0x1A, len(info)]) + info


@pytest.mark.parametrize(
    ("code", "trailers", "retryable", "retry_after"),
    [
        ("UNAVAILABLE", {"grpc-retry-pushback-ms": "1500"}, True, 1.5),
        ("UNAVAILABLE", {"grpc-retry-pushback-ms": "0"}, True, 0.0),
        ("UNAVAILABLE", {"grpc-retry-pushback-ms": "-1"}, False, None),
        ("UNAVAILABLE", {"grpc-retry-pushback-ms": "soon"}, False, None),
        ("UNAVAILABLE", {"grpc-retry-pushback-ms": "9" * 5000}, False, None),
        ("NOT_FOUND", {"grpc-retry-pushback-ms": "1500"}, False, None),
        ("UNAVAILABLE", {"grpc-status-details-bin": with_retry_info(3, 500_000_000)}, True, 3.5),
        ("UNAVAILABLE", {"grpc-status-details-bin": b"\xff\xff"}, True, None),
        ("UNAVAILABLE", {"grpc-status-details-bin": b"\x08\x0e"}, True, None),
    ],
)
async def test_the_server_says_when_to_come_back(code, trailers, retryable, retry_after, call):
    failure = await call(code, trailers=trailers.items())

    assert (retryable, retry_after) == (failure.retryable, failure.retry_after)


def test_a_negative_delay_is_none_at_all():
    assert retry_delay_s(with_retry_info(0, 0)) == 0.0


async def test_a_long_detail_is_cut(call):
    failure = await call("INTERNAL", detail="x" * 6000)

    assert len(failure.message) == 2000
