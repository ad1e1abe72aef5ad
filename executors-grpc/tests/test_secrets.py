"""Secrets are read in the worker, and none of them comes back."""

import grpc
import pytest

from dsched.contracts import TaskFailed


def payload_for(target, **more):
    return {"target": f"localhost:{target.port}", "method": "shop.Orders/Close", **more}


@pytest.fixture
async def vault(open_grpc, tmp_path, monkeypatch):
    """An executor with secrets in a file and in the environment."""
    (tmp_path / "token").write_text('canary"file\n')
    (tmp_path / "lines").write_text("a\nb")
    monkeypatch.setenv("SHOP_KEY", "canary-env")
    monkeypatch.setenv("OTHER_KEY", "canary-other")
    return await open_grpc(secret_dir=str(tmp_path), secret_env=["SHOP_*"])


async def test_references_are_replaced_and_their_values_never_come_back(vault, target, run):
    received = []

    async def repeat(request, context):
        received.append((request.order_id, dict(context.invocation_metadata())["authorization"]))
        if request.count:
            await context.abort(grpc.StatusCode.INTERNAL, f"bad {request.order_id} canary-env")
        return await target.echo(request, context)

    target.behaviour = repeat
    payload = payload_for(
        target,
        metadata={"authorization": "Bearer secret://env/SHOP_KEY"},
        request={"orderId": "<secret://file/token>", "extra": {"k": ["secret://env/SHOP_KEY"]}},
    )

    result = await run(vault, payload)
    payload["request"]["count"] = 1
    with pytest.raises(TaskFailed) as failed:
        await run(vault, payload)

    assert received == [('<canary"file>', "Bearer canary-env")] * 2
    assert result.data == {"orderId": "<[redacted]>", "extra": {"k": ["[redacted]"]}}
    assert "INTERNAL: bad <[redacted]> [redacted]" in failed.value.message
    assert failed.value.__cause__ is None


async def test_a_secret_that_does_not_fit_its_field_is_not_repeated(vault, target, run):
    payload = payload_for(target, request={"count": "secret://env/SHOP_KEY"})
    with pytest.raises(TaskFailed, match="count") as failed:
        await run(vault, payload)

    assert "canary" not in failed.value.message


async def test_a_secret_at_the_place_where_a_message_is_cut_is_not_left_half(vault, target, run):
    async def repeat(request, context):
        prefix = len(f"shop.Orders/Close at localhost:{target.port}: INTERNAL: ")
        await context.abort(grpc.StatusCode.INTERNAL, "x" * (1995 - prefix) + request.order_id)

    target.behaviour = repeat
    with pytest.raises(TaskFailed) as failed:
        await run(vault, payload_for(target, request={"orderId": "secret://env/SHOP_KEY"}))

    assert failed.value.message.endswith("x[reda")


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("secret://env/OTHER_KEY", "secret_env"),
        ("secret://file/none", "no file 'none'"),
        ("secret://file/lines", "one line of printable ASCII"),
    ],
)
async def test_a_reference_that_leads_nowhere_is_refused_for_good(
    reference, words, vault, target, run
):
    with pytest.raises(TaskFailed, match=words) as failed:
        await run(vault, payload_for(target, metadata={"authorization": reference}))

    assert (failed.value.code, failed.value.retryable) == ("invalid_payload", False)
    assert "canary" not in failed.value.message
    assert target.seen == []


async def test_no_secret_is_read_unless_the_operator_has_said_where(open_grpc, target, run):
    executor = await open_grpc()
    for reference in ("secret://env/HOME", "secret://file/passwd"):
        with pytest.raises(TaskFailed, match=r"executors\.grpc\.secret_"):
            await run(executor, payload_for(target, request={"orderId": reference}))
