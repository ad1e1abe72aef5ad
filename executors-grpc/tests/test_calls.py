"""What a call sends, what it answers, and how it stops."""

import asyncio
import base64
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from dsched.contracts import TaskFailed
from dsched_executor_grpc.options import GrpcOptions
from dsched_executor_grpc.plugin import open_executor


def payload_for(target, method="shop.Orders/Close", **more):
    return {"target": target.address, "method": method, **more}


async def test_the_request_and_the_response_are_mapped_as_json(target, open_grpc, run):
    request = {
        "orderId": "A-1",
        "count": 3,
        "dueAt": "2026-01-31T09:00:00Z",
        "extra": {"tags": ["a", None, 1.5]},
        "blob": base64.b64encode(b"\x00\xff").decode(),
    }

    result = await run(await open_grpc(), payload_for(target, request=request))

    assert ("OK", "", request) == (result.code, result.message, result.data)


async def test_first_tasks_at_the_same_time_share_one_executor(target, run):
    async with open_executor(GrpcOptions(allow=["127.0.0.0/8"])) as executor:
        payload = payload_for(target, "shop.Orders/Ping")
        results = await asyncio.gather(*(run(executor, payload) for _ in range(5)))
        connections = len((await executor.opened())._channels)

    assert [result.code for result in results] == ["OK"] * 5
    assert connections == 1


async def test_field_names_may_be_written_as_in_the_proto(target, open_grpc, run):
    result = await run(await open_grpc(), payload_for(target, request={"order_id": "A-1"}))

    assert result.data == {"orderId": "A-1"}


async def test_a_request_may_be_left_out_or_be_a_well_known_type(target, open_grpc, run):
    executor = await open_grpc()

    ping = await run(executor, payload_for(target, "shop.Orders/Ping"))
    name = await run(executor, payload_for(target, "shop.Orders/Name", request="Ada"))

    assert (ping.data, name.data) == ({}, "Ada")


async def test_the_target_is_told_the_facts_about_the_attempt(target, open_grpc, run, make_context):
    payload = payload_for(target, metadata={"Authorization": "Bearer x", "key-bin": "AP8="})

    await run(await open_grpc(), payload, context=make_context(attempt=4, epoch=9))

    seen = target.seen[0]
    assert seen["idempotency-key"] == "report@1700000000000"
    assert seen["x-dsched-task-id"] == "report@1700000000000"
    assert seen["x-dsched-config-id"] == "report"
    assert seen["x-dsched-attempt"] == "4"
    assert seen["x-dsched-scheduled-time"] == "2023-11-14T22:13:20.000Z"
    assert seen["x-dsched-epoch"] == "9"
    assert seen["authorization"] == "Bearer x"
    assert seen["key-bin"] == b"\x00\xff"
    version, trace, span, flags = seen["traceparent"].split("-")
    assert (version, len(trace), len(span), flags) == ("00", 32, 16, "01")


async def test_attempts_of_a_task_share_a_trace_and_have_spans_of_their_own(
    target, open_grpc, run, make_context
):
    executor = await open_grpc()
    for attempt in (1, 2):
        await run(executor, payload_for(target), context=make_context(attempt=attempt))

    first, second = (seen["traceparent"].split("-") for seen in target.seen)
    assert first[1] == second[1]
    assert first[2] != second[2]


async def test_the_attempts_time_is_the_deadline_of_the_call(target, open_grpc, run, make_context):
    await run(await open_grpc(), payload_for(target), context=make_context(timeout_s=8.0))

    # gRPC rounds a timeout up on the wire, and the server measures it with a clock of its own.
    assert 5.0 < target.seen[0]["remaining"] <= 8.1


async def test_a_target_that_takes_too_long_is_given_up_at_the_deadline(
    target, open_grpc, run, make_context
):
    async def hang(request, context):
        await asyncio.Event().wait()

    executor = await open_grpc()
    await run(executor, payload_for(target))
    target.behaviour = hang
    with pytest.raises(TaskFailed) as failed:
        await run(executor, payload_for(target), context=make_context(timeout_s=0.3))

    assert (failed.value.code, failed.value.retryable) == ("deadline_exceeded", True)
    async with asyncio.timeout(5):
        await target.cancelled.wait()
    target.behaviour = target.echo
    assert (await run(executor, payload_for(target))).code == "OK"


async def test_after_a_deadline_the_next_call_takes_a_new_connection(
    target, open_grpc, run, make_context
):
    peers = []

    async def note_peer_and_hang_once(request, context):
        peers.append(context.peer())
        if len(peers) == 1:
            await asyncio.Event().wait()
        return await target.echo(request, context)

    target.behaviour = note_peer_and_hang_once
    executor = await open_grpc()
    with pytest.raises(TaskFailed):
        await run(executor, payload_for(target), context=make_context(timeout_s=0.3))
    for _ in range(2):
        await run(executor, payload_for(target))

    assert peers[0] != peers[1] == peers[2]
    assert len(executor._channels) == 1


async def test_no_call_is_made_once_the_time_is_over(target, open_grpc, run, make_context):
    with pytest.raises(TaskFailed) as failed:
        await run(await open_grpc(), payload_for(target), context=make_context(timeout_s=0.0))

    assert (failed.value.code, failed.value.retryable) == ("deadline_exceeded", True)
    assert target.seen == []


async def test_the_server_sees_that_the_attempt_was_cancelled(target, open_grpc, run):
    async def hang(request, context):
        await asyncio.Event().wait()

    target.behaviour = hang
    executor = await open_grpc()
    attempt = asyncio.ensure_future(run(executor, payload_for(target)))
    async with asyncio.timeout(5):
        await target.entered.wait()
        attempt.cancel()
        with pytest.raises(asyncio.CancelledError):
            await attempt
        await target.cancelled.wait()

    target.behaviour = target.echo
    assert (await run(executor, payload_for(target))).code == "OK"


async def test_a_request_that_is_too_large_never_leaves(target, open_grpc, run):
    executor = await open_grpc(max_message_bytes=65536)
    with pytest.raises(TaskFailed, match="max_message_bytes") as failed:
        await run(executor, payload_for(target, request={"orderId": "x" * 70_000}))

    assert (failed.value.code, failed.value.retryable) == ("request_too_large", False)
    assert target.seen == []


async def test_a_response_that_is_too_large_is_refused_for_good(target, open_grpc, run):
    async def answer_much(request, context):
        return target.descriptors.message("shop.Receipt")(blob=bytes(100_000))

    target.behaviour = answer_much
    executor = await open_grpc(max_message_bytes=65536)
    with pytest.raises(TaskFailed, match="larger than max") as failed:
        await run(executor, payload_for(target))

    assert (failed.value.code, failed.value.retryable) == ("resource_exhausted", False)


async def test_a_response_too_large_for_a_result_is_a_success_without_its_data(
    target, open_grpc, run
):
    async def answer_much(request, context):
        return target.descriptors.message("shop.Receipt")(blob=bytes(1_000_000))

    target.behaviour = answer_much
    result = await run(await open_grpc(), payload_for(target))

    assert (result.code, result.data) == ("OK", None)
    assert "not kept" in result.message


async def test_a_host_name_with_addresses_of_both_families_is_reached(target, open_grpc, run):
    payload = {"target": f"localhost:{target.port}", "method": "shop.Orders/Ping"}

    result = await run(await open_grpc(allow=["localhost"]), payload)

    assert result.code == "OK"


async def test_the_server_is_addressed_by_the_name_in_the_payload(descriptors, open_grpc, run):
    hosts = []

    def note_host(request, context):
        hosts.append(context._rpc_event.call_details.host.decode())
        return b""

    handlers = {"Ping": grpc.unary_unary_rpc_method_handler(note_host)}
    server = grpc.server(ThreadPoolExecutor(1))
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("shop.Orders", handlers),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    payload = {
        "target": f"localhost:{port}",
        "method": "shop.Orders/Ping",
        "descriptor_set": "base64:" + base64.b64encode(descriptors.content).decode(),
    }
    await run(await open_grpc(), payload)
    server.stop(None).wait(5)

    assert [f"localhost:{port}"] == hosts


async def test_many_attempts_share_one_connection(target, open_grpc, run):
    peers = set()

    async def note_peer(request, context):
        peers.add(context.peer())
        return await target.echo(request, context)

    target.behaviour = note_peer
    executor = await open_grpc()
    await asyncio.gather(*(run(executor, payload_for(target)) for _ in range(20)))
    await run(executor, payload_for(target))

    assert len(target.seen) == 21
    assert len(peers) == 1


async def test_the_channels_kept_are_bounded_and_busy_ones_are_not_cut(
    start_target, open_grpc, run
):
    targets = [await start_target() for _ in range(3)]
    release = asyncio.Event()

    async def wait(request, context):
        await release.wait()
        return await targets[0].echo(request, context)

    targets[0].behaviour = wait
    executor = await open_grpc(max_channels=1)
    busy = asyncio.ensure_future(run(executor, payload_for(targets[0])))
    async with asyncio.timeout(10):
        await targets[0].entered.wait()
        for other in targets[1:]:
            await run(executor, payload_for(other))
        assert len(executor._channels) == 2  # the busy one and the last one
        release.set()
        assert (await busy).code == "OK"
    assert len(executor._channels) == 1


async def test_a_channel_recovers_when_its_server_is_back(
    descriptors, start_target, serve, open_grpc, run
):
    target = type(await start_target())(descriptors)
    executor = await open_grpc()
    async with serve(target):
        await run(executor, payload_for(target))
    with pytest.raises(TaskFailed) as failed:
        await run(executor, payload_for(target))
    assert (failed.value.code, failed.value.retryable) == ("unavailable", True)

    async with serve(target, port=target.port), asyncio.timeout(10):
        while True:
            try:
                result = await run(executor, payload_for(target))
                break
            except TaskFailed as again:
                if again.code != "unavailable":
                    raise
                await asyncio.sleep(0.02)
    assert result.code == "OK"


async def test_a_dead_target_is_unavailable_at_once(open_grpc, run, free_port):
    payload = {"target": f"127.0.0.1:{free_port}", "method": "shop.Orders/Close"}
    async with asyncio.timeout(5):
        with pytest.raises(TaskFailed) as failed:
            await run(await open_grpc(), payload)

    assert (failed.value.code, failed.value.retryable) == ("unavailable", True)


async def test_a_proxy_in_the_environment_is_not_used(
    target, open_grpc, run, monkeypatch, free_port
):
    for name in ("http_proxy", "https_proxy", "grpc_proxy", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port}")
    monkeypatch.delenv("no_proxy", raising=False)

    assert (await run(await open_grpc(), payload_for(target))).code == "OK"


@pytest.mark.parametrize(
    ("options", "key"),
    [
        ({"max_message_bytes": 10}, "max_message_bytes"),
        ({"max_channels": 0}, "max_channels"),
        ({"allow": ["http://x"]}, "executors.grpc.allow"),
        ({"secret_env": ["a b"]}, "secret_env"),
    ],
)
def test_a_bad_option_is_refused_by_name(options, key):
    with pytest.raises(ValueError, match=key):
        GrpcOptions(**options)
