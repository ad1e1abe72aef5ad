"""Where the descriptors of a method come from, and what happens when they do not fit."""

import asyncio
import base64

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionResponse

from dsched.contracts import TaskFailed


def payload_for(target, method="shop.Orders/Close", **more):
    return {"target": target.address, "method": method, **more}


def inline(content):
    return "base64:" + base64.b64encode(content).decode()


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
async def test_both_versions_of_server_reflection_are_understood(
    version, start_target, open_grpc, run
):
    target = await start_target(reflects=version)

    result = await run(await open_grpc(), payload_for(target, request={"count": 2}))

    assert result.data == {"count": 2}


@pytest.fixture
def two_files(make_descriptors, proto):
    """Descriptors of which one file imports another that protobuf does not bring."""
    return make_descriptors(
        proto.replace("package shop;", 'package shop; import "money.proto";').replace(
            "bytes blob = 5;", "bytes blob = 5; money.Price price = 6;"
        ),
        {
            "money.proto": 'syntax = "proto3"; package money; import "currency.proto"; '
            "message Price { int32 cents = 1; Currency currency = 2; }",
            "currency.proto": (
                'syntax = "proto3"; package money; enum Currency { EUR = 0; CNY = 1; }'
            ),
        },
    )


def one_file_each(descriptors, asked, without=()):
    """Server reflection that answers with the file asked for and nothing more."""

    async def answer(requests, context):
        async for request in requests:
            name = request.file_by_filename
            asked.append(name or request.file_containing_symbol)
            if request.file_containing_symbol:
                name = descriptors.pool.FindFileContainingSymbol("shop.Orders").name
            response = ServerReflectionResponse(original_request=request)
            if name in without:
                response.error_response.error_message = "withheld"
            else:
                content = descriptors.pool.FindFileByName(name).serialized_pb
                response.file_descriptor_response.file_descriptor_proto.append(content)
            yield response

    return answer


async def test_imports_that_a_server_does_not_send_along_are_asked_for(
    two_files, start_target, open_grpc, run
):
    asked = []
    target = await start_target(descriptors=two_files, reflects=one_file_each(two_files, asked))

    request = {"price": {"cents": 250, "currency": "CNY"}}
    result = await run(await open_grpc(), payload_for(target, request=request))

    assert result.data == request
    assert asked == ["shop.Orders", "money.proto", "currency.proto"]


async def test_a_server_that_withholds_an_import_is_refused_by_the_files_name(
    two_files, start_target, open_grpc, run
):
    answer = one_file_each(two_files, [], without=["currency.proto"])
    target = await start_target(descriptors=two_files, reflects=answer)
    with pytest.raises(TaskFailed, match=r"currency\.proto: withheld") as failed:
        await run(await open_grpc(), payload_for(target))

    assert not failed.value.retryable


async def test_a_server_that_sends_the_same_file_for_ever_is_refused(
    two_files, start_target, open_grpc, run
):
    async def answer(requests, context):
        async for request in requests:
            response = ServerReflectionResponse(original_request=request)
            content = two_files.pool.FindFileByName("shop.proto").serialized_pb
            response.file_descriptor_response.file_descriptor_proto.append(content)
            yield response

    target = await start_target(descriptors=two_files, reflects=answer)
    with pytest.raises(TaskFailed, match=r"does not send money\.proto") as failed:
        await run(await open_grpc(), payload_for(target))

    assert failed.value.code == "invalid_descriptors"


async def test_reflection_that_hangs_is_bounded_by_the_attempts_time_and_can_be_cancelled(
    start_target, open_grpc, run, make_context
):
    entered, left = asyncio.Event(), asyncio.Event()

    async def hang(requests, context):
        entered.set()
        try:
            await asyncio.Event().wait()
        finally:
            left.set()
        yield ServerReflectionResponse()

    target = await start_target(reflects=hang)
    executor = await open_grpc()
    async with asyncio.timeout(5):
        with pytest.raises(TaskFailed) as failed:
            await run(executor, payload_for(target), context=make_context(timeout_s=0.3))
        assert (failed.value.code, failed.value.retryable) == ("deadline_exceeded", True)

        await left.wait()
        entered.clear()
        left.clear()
        attempt = asyncio.ensure_future(run(executor, payload_for(target)))
        await entered.wait()
        attempt.cancel()
        with pytest.raises(asyncio.CancelledError):
            await attempt
        await left.wait()


async def test_descriptors_are_asked_for_once(target, open_grpc, run):
    executor = await open_grpc()
    for _ in range(5):
        await run(executor, payload_for(target))

    # v1 is tried first and unknown to this server, v1alpha answers.
    assert target.reflections <= 2
    assert len(target.seen) == 5


async def test_without_reflection_a_descriptor_set_is_asked_for(start_target, open_grpc, run):
    target = await start_target(reflects="")
    with pytest.raises(TaskFailed, match="descriptor_set") as failed:
        await run(await open_grpc(), payload_for(target))

    assert (failed.value.code, failed.value.retryable) == ("no_reflection", False)


async def test_a_descriptor_set_in_the_payload_needs_no_reflection(
    start_target, descriptors, open_grpc, run
):
    target = await start_target(reflects="")
    payload = payload_for(
        target, request={"orderId": "A"}, descriptor_set=inline(descriptors.content)
    )

    assert (await run(await open_grpc(), payload)).data == {"orderId": "A"}


async def test_a_descriptor_set_may_be_a_file_of_the_operators_directory(
    start_target, descriptors, open_grpc, run, tmp_path
):
    (tmp_path / "sets").mkdir()
    (tmp_path / "sets" / "shop.binpb").write_bytes(descriptors.content)
    target = await start_target(reflects="")
    payload = payload_for(target, request={"orderId": "A"}, descriptor_set="sets/shop.binpb")

    result = await run(await open_grpc(descriptor_dir=str(tmp_path)), payload)

    assert result.data == {"orderId": "A"}


async def test_the_files_that_protobuf_itself_brings_may_be_left_out_of_a_set(
    start_target, descriptors, open_grpc, run
):
    files = FileDescriptorSet.FromString(descriptors.content).file
    own = FileDescriptorSet(file=[file for file in files if file.name == "shop.proto"])
    target = await start_target(reflects="")
    payload = payload_for(
        target,
        request={"dueAt": "2026-01-31T09:00:00Z"},
        descriptor_set=inline(own.SerializeToString()),
    )

    assert (await run(await open_grpc(), payload)).data == {"dueAt": "2026-01-31T09:00:00Z"}


async def test_a_set_that_lacks_an_import_says_which_and_what_to_do(
    start_target, descriptors, open_grpc, run
):
    files = FileDescriptorSet.FromString(descriptors.content)
    files.file[-1].dependency.append("other/money.proto")
    target = await start_target(reflects="")
    payload = payload_for(target, descriptor_set=inline(files.SerializeToString()))
    with pytest.raises(TaskFailed, match=r"other/money\.proto.*--include_imports") as failed:
        await run(await open_grpc(), payload)

    assert (failed.value.code, failed.value.retryable) == ("invalid_descriptors", False)


async def test_what_is_no_descriptor_set_is_refused(start_target, open_grpc, run):
    target = await start_target(reflects="")
    payload = payload_for(target, descriptor_set=inline(b"\xff\xff\xff"))
    with pytest.raises(TaskFailed, match="not a serialized FileDescriptorSet") as failed:
        await run(await open_grpc(), payload)

    assert not failed.value.retryable


@pytest.mark.parametrize("name", ["../secret.binpb", "/etc/passwd", "a/../../b", "link.binpb"])
async def test_no_file_outside_of_the_operators_directory_is_read(
    name, target, open_grpc, run, tmp_path, descriptors
):
    inside = tmp_path / "inside"
    inside.mkdir()
    (tmp_path / "secret.binpb").write_bytes(descriptors.content)
    (inside / "link.binpb").symlink_to(tmp_path / "secret.binpb")
    executor = await open_grpc(descriptor_dir=str(inside))
    with pytest.raises(TaskFailed) as failed:
        await run(executor, payload_for(target, descriptor_set=name))

    assert (failed.value.code, failed.value.retryable) == ("invalid_payload", False)
    assert target.seen == []


@pytest.mark.parametrize(
    ("options", "words"), [({}, r"executors\.grpc\.descriptor_dir"), ("here", "no file 'x.binpb'")]
)
async def test_a_set_that_is_not_there_names_the_option_or_the_file(
    options, words, target, open_grpc, run, tmp_path
):
    executor = await open_grpc(**({"descriptor_dir": str(tmp_path)} if options else {}))
    with pytest.raises(TaskFailed, match=words):
        await run(executor, payload_for(target, descriptor_set="x.binpb"))


@pytest.mark.parametrize(
    ("method", "code", "words"),
    [
        ("shop.Orders/Open", "method_not_found", "Close"),
        ("shop.Nobody/Close", "method_not_found", "shop.Nobody"),
        ("shop.Orders/Watch", "streaming_method", "unary"),
        ("shop.Orders/Fill", "streaming_method", "unary"),
    ],
)
async def test_a_method_that_cannot_be_run_is_refused_for_good(
    method, code, words, target, open_grpc, run
):
    with pytest.raises(TaskFailed, match=words) as failed:
        await run(await open_grpc(), payload_for(target, method))

    assert (code, False) == (failed.value.code, failed.value.retryable)
    assert target.seen == []


@pytest.mark.parametrize(
    ("request_json", "words"),
    [
        ({"orderIdd": "x"}, "orderIdd"),
        ({"extra": {"a": 1}, "nested": {}}, "nested"),
        ({"count": "many"}, "count"),
        ({"count": 2**40}, "count"),
        ({"dueAt": "tomorrow"}, "dueAt"),
        (["a"], "mapping"),
        ("text", "mapping"),
    ],
)
async def test_a_request_that_does_not_fit_names_the_field_and_is_not_sent(
    request_json, words, target, open_grpc, run
):
    with pytest.raises(TaskFailed, match=words) as failed:
        await run(await open_grpc(), payload_for(target, request=request_json))

    assert (failed.value.code, failed.value.retryable) == ("invalid_request", False)
    assert target.seen == []


async def test_a_method_or_field_that_a_new_deployment_brings_is_found(
    descriptors, make_descriptors, proto, start_target, serve, open_grpc, run
):
    newer = make_descriptors(
        proto.replace("bytes blob = 5;", "bytes blob = 5; string note = 6;").replace(
            "rpc Ping", "rpc Reopen(Order) returns (Receipt); rpc Ping"
        )
    )
    kind = type(await start_target())
    old, new = kind(descriptors), kind(newer)
    executor = await open_grpc()
    async with serve(old):
        await run(executor, payload_for(old))
        with pytest.raises(TaskFailed, match="note"):
            await run(executor, payload_for(old, request={"note": "n"}))
    async with serve(new, port=old.port):
        note = await _once_reachable(run, executor, payload_for(new, request={"note": "n"}))
        again = await run(executor, payload_for(new, "shop.Orders/Reopen", request={"count": 1}))

    assert (note.data, again.data) == ({"note": "n"}, {"count": 1})


async def _once_reachable(run, executor, payload):
    async with asyncio.timeout(10):
        while True:
            try:
                return await run(executor, payload)
            except TaskFailed as failure:
                if failure.code != "unavailable":
                    raise
                await asyncio.sleep(0.02)


async def test_a_response_that_the_descriptors_do_not_fit_is_a_success_with_a_remark(
    target, open_grpc, run
):
    class Garbage:
        def SerializeToString(self):  # noqa: N802
            return b"\xff\xff\xff"

    async def answer(request, context):
        return Garbage()

    target.behaviour = answer
    result = await run(await open_grpc(), payload_for(target))

    assert (result.code, result.data) == ("OK", None)
    assert "cannot be read as shop.Receipt" in result.message
