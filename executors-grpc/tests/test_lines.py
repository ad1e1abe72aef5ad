"""What a call leaves in the task's log: its status, and how the message begins."""

import logging

import grpc
import pytest

from dsched.contracts import TaskFailed
from dsched.contracts.store.tasklogs import LineLevel, marked_level
from dsched_executor_grpc.executor import EXCERPT_LENGTH


@pytest.fixture
def lines(caplog):
    caplog.set_level(logging.DEBUG)

    def found():
        return [
            record.getMessage()
            for record in caplog.records
            if marked_level(vars(record)) is LineLevel.RESPONSE
        ]

    return found


def payload_for(target, **more):
    return {"target": f"localhost:{target.port}", "method": "shop.Orders/Close", **more}


async def test_an_answer_is_a_line_about_it_and_one_with_its_message(target, open_grpc, run, lines):
    await run(await open_grpc(), payload_for(target, request={"orderId": "a"}))
    status, message = lines()
    assert status.startswith(f"shop.Orders/Close at localhost:{target.port}: OK, ")
    assert message == '{"orderId":"a"}'


async def test_of_a_long_message_the_beginning_is_shown(target, open_grpc, run, lines):
    await run(await open_grpc(), payload_for(target, request={"orderId": "x" * 5000}))
    assert lines()[1] == ('{"orderId":"' + "x" * 5000)[:EXCERPT_LENGTH]


async def test_a_message_that_is_large_is_only_measured(target, open_grpc, run, lines):
    await run(await open_grpc(), payload_for(target, request={"orderId": "x" * 100_000}))
    (status,) = lines()
    assert "OK, 100,0" in status


async def test_a_status_that_fails_the_attempt_is_a_line_without_its_secrets(
    target, open_grpc, run, lines, monkeypatch
):
    async def refuse(request, context):
        await context.abort(grpc.StatusCode.INTERNAL, f"bad {request.order_id}")

    monkeypatch.setenv("SHOP_KEY", "canary-env")
    target.behaviour = refuse
    executor = await open_grpc(secret_env=["SHOP_*"])
    with pytest.raises(TaskFailed):
        await run(executor, payload_for(target, request={"orderId": "secret://env/SHOP_KEY"}))
    (status,) = lines()
    assert status.endswith("INTERNAL: bad [redacted]")
