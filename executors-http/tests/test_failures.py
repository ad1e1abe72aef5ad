"""Which failures are worth another try, and when."""

import asyncio
import socket
from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import web

from dsched.contracts import TaskFailed

RETRYABLE = [408, 425, 429, 500, 501, 502, 503, 504, 507, 599]
FINAL = [300, 301, 302, 304, 307, 308, 400, 401, 403, 404, 405, 409, 410, 413, 422, 451, 499]


@pytest.mark.parametrize(
    ("status", "retryable"),
    [(status, True) for status in RETRYABLE] + [(status, False) for status in FINAL],
)
async def test_which_statuses_are_tried_again(serve, run, status, retryable) -> None:
    text = None if status == 304 else "why not"

    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=status, text=text)

    with pytest.raises(TaskFailed, match=f"answered {status}") as failure:
        await run({"url": await serve(answer)})

    assert failure.value.code == str(status)
    assert failure.value.retryable is retryable
    assert failure.value.data["status"] == status
    assert failure.value.data["body"] == text


@pytest.mark.parametrize(
    ("expected", "status", "success"),
    [
        (None, 204, True),
        (None, 299, True),
        (404, 404, True),
        (404, 200, False),
        ([200, "400-404"], 402, True),
        ([200, "400-404"], 405, False),
        ("500-599", 503, True),
        ("302", 302, True),
    ],
)
async def test_expected_status_says_what_is_a_success(
    serve, run, expected, status, success
) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=status)

    payload = {"url": await serve(answer), "expected_status": expected}
    if success:
        assert (await run(payload)).code == str(status)
    else:
        with pytest.raises(TaskFailed) as failure:
            await run(payload)
        assert failure.value.code == str(status)


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({"Retry-After": "120"}, 120.0),
        ({"Retry-After": "0"}, 0.0),
        ({"Retry-After": "99999999999999999999"}, 366 * 86400.0),
        ({"Retry-After": "Fri, 14 Nov 2025 12:00:30 GMT"}, 30.0),
        ({"Retry-After": "Fri, 14 Nov 2025 11:00:00 GMT"}, 0.0),
        ({"Retry-After": "-5"}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "²"}, None),
        ({"Retry-After": "Fri, 99 Nov 2025 11:00:00 GMT"}, None),
        ({}, None),
    ],
)
@pytest.mark.parametrize("status", [503, 429])
async def test_retry_after_is_honoured_in_seconds_and_as_a_date(
    serve, run, open_executor, headers, wait_s, status
) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(
            status=status, headers={"Date": "Fri, 14 Nov 2025 12:00:00 GMT", **headers}
        )

    # The worker's own clock is years off: the server's Date is what its Retry-After goes by.
    executor = await open_executor(now=lambda: datetime(2031, 1, 1, tzinfo=UTC))
    with pytest.raises(TaskFailed) as failure:
        await run({"url": await serve(answer)}, executor=executor)

    assert failure.value.retry_after == wait_s


async def test_a_retry_after_without_a_date_goes_by_the_workers_clock(
    serve_raw, run, open_executor
) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(
            b"HTTP/1.1 503 Busy\r\nRetry-After: Fri, 14 Nov 2025 12:01:00 GMT\r\n"
            b"Content-Length: 0\r\n\r\n"
        )
        writer.close()
        await writer.wait_closed()

    executor = await open_executor(now=lambda: datetime(2025, 11, 14, 12, 0, 15, tzinfo=UTC))
    with pytest.raises(TaskFailed, match="503 Busy") as failure:
        await run({"url": await serve_raw(handle)}, executor=executor)

    assert failure.value.retry_after == 45.0


async def test_a_final_status_asks_for_no_wait(serve, run) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=404, headers={"Retry-After": "10"})

    with pytest.raises(TaskFailed) as failure:
        await run({"url": await serve(answer)})

    assert failure.value.retry_after is None


async def test_a_refused_connection_is_tried_again(run) -> None:
    with socket.socket() as bound_but_not_listening:
        bound_but_not_listening.bind(("127.0.0.1", 0))
        port = bound_but_not_listening.getsockname()[1]
        with pytest.raises(TaskFailed, match="refused") as failure:
            await run({"url": f"http://127.0.0.1:{port}/"})

    assert (failure.value.code, failure.value.retryable) == ("connect", True)


async def test_a_name_that_does_not_resolve_is_tried_again(run, open_executor) -> None:
    async def lookup(host: str, port: int) -> list[tuple[int, str]]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    with pytest.raises(TaskFailed, match="cannot be resolved") as failure:
        await run({"url": "http://x.invalid/"}, executor=await open_executor(lookup=lookup))

    assert (failure.value.code, failure.value.retryable) == ("connect", True)


async def test_a_connection_that_is_not_taken_is_given_up_before_the_deadline(run) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        fillers = [socket.socket() for _ in range(4)]
        try:
            for filler in fillers:  # fill the backlog, so that the next SYN is not answered
                filler.setblocking(False)
                filler.connect_ex(listener.getsockname())
            with pytest.raises(TaskFailed, match="connect_timeout") as failure:
                await run(
                    {"url": f"http://127.0.0.1:{listener.getsockname()[1]}/"},
                    options={"connect_timeout": timedelta(seconds=0.2)},
                )
        finally:
            for filler in fillers:
                filler.close()

    assert (failure.value.code, failure.value.retryable) == ("timeout", True)


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (b"", "connect"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfour", "connect"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", "connect"),
        (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", "response"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\nplain",
            "response",
        ),
    ],
)
async def test_a_broken_answer_is_tried_again(serve_raw, run, answer, code) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()
        await writer.wait_closed()

    with pytest.raises(TaskFailed) as failure:
        await run({"url": await serve_raw(handle), "method": "POST"})

    assert (failure.value.code, failure.value.retryable) == (code, True)


@pytest.mark.parametrize("path", ["/silent", "/slow"])
async def test_the_deadline_ends_a_request_however_slowly_it_is_answered(serve, run, path) -> None:
    async def dawdle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        if request.path == "/slow":
            await response.prepare(request)
        while True:
            if request.path == "/slow":
                await response.write(b".")
            await asyncio.sleep(0.02)

    with pytest.raises(TaskFailed, match="by the deadline") as failure:
        await run({"url": await serve(dawdle) + path}, timeout_s=0.2)

    assert (failure.value.code, failure.value.retryable) == ("timeout", True)


async def test_no_time_left_sends_nothing(serve, run) -> None:
    calls = []

    async def note(request: web.Request) -> web.Response:
        calls.append(request.path)
        return web.Response()

    with pytest.raises(TaskFailed) as failure:
        await run({"url": await serve(note)}, timeout_s=0)

    assert failure.value.code == "timeout"
    assert calls == []


async def test_control_characters_of_a_reason_phrase_do_not_reach_the_message(
    serve_raw, run
) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 404 \x1b]52;c;x\x07\r\nContent-Length: 0\r\n\r\n")
        writer.close()
        await writer.wait_closed()

    with pytest.raises(TaskFailed) as failure:
        await run({"url": await serve_raw(handle)})

    assert failure.value.message.isprintable()


@pytest.mark.parametrize(("method", "success"), [("GET", True), ("PUT", True), ("POST", False)])
async def test_a_kept_connection_that_was_closed_costs_only_a_post_an_attempt(
    serve_raw, run, open_executor, method, success
) -> None:
    async def one_answer_a_connection(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await reader.read(1)  # the second request, or the end
        writer.close()
        await writer.wait_closed()

    url, executor = await serve_raw(one_answer_a_connection), await open_executor()
    await run({"url": url, "method": method}, executor=executor)

    if success:
        assert (await run({"url": url, "method": method}, executor=executor)).code == "200"
    else:
        with pytest.raises(TaskFailed) as failure:
            await run({"url": url, "method": method}, executor=executor)
        assert (failure.value.code, failure.value.retryable) == ("connect", True)
