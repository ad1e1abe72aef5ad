"""What a response leaves in the task's log: a line about it, and how its body begins."""

import logging

import pytest
from aiohttp import web

from dsched.contracts import TaskFailed
from dsched.contracts.store.tasklogs import LineLevel, marked_level
from dsched_executor_http.response import EXCERPT_BYTES

SECRET = "hidden-9f31-value"


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


def answering(text, status=200, kind="text/plain"):
    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=text, status=status, content_type=kind)

    return answer


async def test_a_response_is_a_line_about_it_and_one_with_its_text(serve, run, lines) -> None:
    url = await serve(answering(b'{"ok": true}', kind="application/json"))
    await run({"url": url})
    assert lines() == [
        f"GET {url}/ answered 200 OK (application/json, 12 bytes)",
        '{"ok": true}',
    ]


async def test_a_response_that_fails_the_attempt_is_shown_too(serve, run, lines) -> None:
    url = await serve(answering(b"out of paper", status=503))
    with pytest.raises(TaskFailed):
        await run({"url": url})
    assert lines()[0].endswith("answered 503 Service Unavailable (text/plain, 12 bytes)")
    assert lines()[1] == "out of paper"


@pytest.mark.parametrize("kind", ["image/png", "application/octet-stream"])
async def test_a_body_that_is_no_text_is_only_measured(serve, run, lines, kind) -> None:
    await run({"url": await serve(answering(b"\x89PNG\x00", kind=kind))})
    (line,) = lines()
    assert line.endswith(f"({kind}, 5 bytes)")


async def test_a_response_without_a_body_is_one_line(serve, run, lines) -> None:
    await run({"url": await serve(answering(b"", status=204))})
    (line,) = lines()
    assert line.endswith("answered 204 No Content (no body)")


async def test_of_a_large_body_the_beginning_is_shown(serve, run, lines) -> None:
    await run({"url": await serve(answering(b"0123456789" * 100_000))})
    assert lines()[1] == "0123456789" * (EXCERPT_BYTES // 10) + "01234567"


@pytest.mark.parametrize("before", [0, 100, EXCERPT_BYTES - 9, EXCERPT_BYTES + 60, 4000])
async def test_no_part_of_a_secret_is_shown_wherever_it_stands(
    serve, run, lines, monkeypatch, before
) -> None:
    monkeypatch.setenv("T_TOKEN", SECRET)
    text = "." * before + SECRET + "." * 5000
    payload = {
        "url": await serve(answering(text.encode())),
        "headers": {"Authorization": "secret://env/T_TOKEN"},
    }
    await run(payload, options={"secret_env": ["T_*"]})
    shown = lines()[1]
    assert len(shown) <= EXCERPT_BYTES
    assert not any(SECRET[:length] in shown for length in range(3, len(SECRET) + 1))
