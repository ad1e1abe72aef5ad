"""What is sent, and what comes back."""

import asyncio
import json
import re

import pytest
from aiohttp import web

from dsched.contracts import TaskFailed
from dsched_executor_http.executor import MAX_CACHED_CALLS, MAX_CACHED_TEXT


async def echo(request: web.Request) -> web.Response:
    return web.json_response(
        {
            "method": request.method,
            "path": request.raw_path,
            "headers": dict(request.headers),
            "body": await request.text(),
        }
    )


async def test_a_get_answers_with_code_reason_and_parsed_json(serve, run) -> None:
    result = await run({"url": await serve(echo) + "/run"})

    assert result.code == "200"
    assert result.message == "OK"
    assert result.data["status"] == 200
    assert result.data["truncated"] is False
    assert result.data["body"]["method"] == "GET"
    assert result.data["body"]["path"] == "/run"
    assert result.data["headers"]["Content-Type"].startswith("application/json")


@pytest.mark.parametrize(
    ("payload", "sent", "content_type"),
    [
        ({"json": {"b": [1, None, True], "a": "x"}}, None, "application/json"),
        ({"json": 0}, "0", "application/json"),
        ({"json": ""}, '""', "application/json"),
        ({"json": False}, "false", "application/json"),
        ({"body": "grüezi"}, "grüezi", "text/plain; charset=utf-8"),
        ({"body": "a=1", "headers": {"content-type": "text/x"}}, "a=1", "text/x"),
        (
            {"json": [], "headers": {"Content-Type": "application/a+json"}},
            "[]",
            "application/a+json",
        ),
    ],
)
async def test_a_body_makes_it_a_post_with_a_fitting_content_type(
    serve, run, payload, sent, content_type
) -> None:
    seen = (await run({"url": await serve(echo), **payload})).data["body"]

    assert seen["method"] == "POST"
    assert seen["headers"].get("Content-Type", seen["headers"].get("content-type")) == content_type
    if sent is None:
        assert json.loads(seen["body"]) == payload["json"]
    else:
        assert seen["body"] == sent


@pytest.mark.parametrize("method", ["GET", "post", "PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_the_method_is_sent_as_asked(serve, run, method) -> None:
    seen = (await run({"url": await serve(echo), "method": method})).data["body"]

    assert seen["method"] == method.upper()


async def test_a_head_has_no_body(serve, run) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(text="not sent to HEAD", headers={"ETag": '"5"'})

    result = await run({"url": await serve(answer), "method": "HEAD"})

    assert result.data["body"] is None
    assert result.data["headers"]["ETag"] == '"5"'


async def test_the_query_is_added_to_the_urls_own_and_encoded_once(serve, run) -> None:
    query = {"q": "a b&c", "n": 3, "on": True, "list": ["x", "y"]}
    result = await run({"url": await serve(echo) + "/p%2Fq/ü?k=%41", "query": query})

    assert result.data["body"]["path"] == "/p%2Fq/%C3%BC?k=%41&q=a+b%26c&n=3&on=true&list=x&list=y"


async def test_the_facts_about_the_task_are_sent(serve, run) -> None:
    url = await serve(echo)
    first = (await run({"url": url, "headers": {"X-Mine": "1"}})).data["body"]["headers"]
    second = (await run({"url": url}, attempt=2)).data["body"]["headers"]

    assert first["X-Mine"] == "1"
    assert first["Idempotency-Key"] == "report@1700000000123"
    assert first["X-Dsched-Task-Id"] == "report@1700000000123"
    assert first["X-Dsched-Config-Id"] == "report"
    assert first["X-Dsched-Attempt"] == "1"
    assert first["X-Dsched-Scheduled-Time"] == "2023-11-14T22:13:20.123Z"
    assert first["X-Dsched-Epoch"] == "17"
    assert first["User-Agent"] == "dsched"
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01", first["traceparent"])
    assert second["X-Dsched-Attempt"] == "2"
    # One trace for the task, a span for each attempt.
    assert first["traceparent"].split("-")[1] == second["traceparent"].split("-")[1]
    assert first["traceparent"].split("-")[2] != second["traceparent"].split("-")[2]


async def test_equal_looking_payloads_of_different_types_are_not_confused(
    serve, run, open_executor
) -> None:
    url, executor = await serve(echo), await open_executor()
    bodies = [
        (await run({"url": url, "json": value}, executor=executor)).data["body"]["body"]
        for value in (1, True, 1.0, "1", 1)
    ]

    assert bodies == ["1", "true", "1.0", '"1"', "1"]


async def test_attempts_at_one_payload_leave_nothing_to_each_other(
    serve, run, open_executor, monkeypatch
) -> None:
    executor = await open_executor({"secret_env": ["T_*"]})
    payload = {
        "url": await serve(echo),
        "headers": {"X-Key": "secret://env/T_KEY"},
        "json": {"key": "secret://env/T_KEY", "n": 1},
    }
    seen = {}
    for number, key in enumerate(("alpha", "beta", "alpha"), start=1):
        monkeypatch.setenv("T_KEY", key)
        result = await run(payload, executor=executor, task_id=f"report@{number}", attempt=number)
        seen[number] = result.data["body"]

    names = [sorted(request["headers"]) for request in seen.values()]
    assert names[0] == names[1] == names[2]
    assert [request["headers"]["X-Dsched-Task-Id"] for request in seen.values()] == [
        *("report@1", "report@2", "report@3")
    ]
    (kept,) = executor._read_ones.values()
    assert kept.headers["X-Key"] == "secret://env/T_KEY"
    assert "X-Dsched-Task-Id" not in kept.headers
    assert kept.body is None


async def test_a_body_that_is_kept_is_sent_whole_by_every_attempt(
    serve, run, open_executor
) -> None:
    executor = await open_executor()
    payload = {"url": await serve(echo), "json": {"text": "x" * 5000}}
    async with asyncio.TaskGroup() as group:
        attempts = [group.create_task(run(payload, executor=executor)) for _ in range(20)]

    bodies = {attempt.result().data["body"]["body"] for attempt in attempts}
    assert [json.loads(body) for body in bodies] == [payload["json"]]


async def test_no_more_payloads_are_kept_than_allowed_and_no_large_one(serve, run, open_executor):
    url, executor = await serve(echo), await open_executor()
    for number in range(MAX_CACHED_CALLS + 5):
        executor._read({"url": url, "json": number})
    large = {"url": url, "body": "x" * MAX_CACHED_TEXT}

    assert (await run(large, executor=executor)).data["body"]["body"] == large["body"]
    assert len(executor._read_ones) == MAX_CACHED_CALLS
    assert repr(large) not in executor._read_ones


async def test_what_is_kept_of_a_payload_does_not_outlive_changed_options(
    serve, run, open_executor
) -> None:
    payload = {"url": await serve(echo)}
    assert (await run(payload, executor=await open_executor())).code == "200"

    with pytest.raises(TaskFailed) as failure:
        await run(payload, executor=await open_executor({"allow": []}))
    assert failure.value.code == "refused"


async def test_cookies_are_not_kept_between_requests(serve, run, open_executor) -> None:
    cookies = []

    async def set_cookie(request: web.Request) -> web.Response:
        cookies.append(request.headers.get("Cookie"))
        response = web.Response()
        response.set_cookie("session", "of another task")
        return response

    url = await serve(set_cookie, shown_host="localhost")
    executor = await open_executor({"allow": ["localhost"]})
    await run({"url": url}, executor=executor)
    await run({"url": url}, executor=executor)

    assert cookies == [None, None]


async def test_one_connection_serves_one_request_after_the_other(serve, run, open_executor) -> None:
    peers = set()

    async def note(request: web.Request) -> web.Response:
        peers.add(request.transport.get_extra_info("peername"))
        return web.Response(text="hello")

    url, executor = await serve(note), await open_executor()
    for _ in range(5):
        await run({"url": url}, executor=executor)

    assert len(peers) == 1


async def test_no_more_connections_are_open_at_once_than_allowed(serve, run, open_executor) -> None:
    now, most = 0, 0

    async def count(request: web.Request) -> web.Response:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.01)
        now -= 1
        return web.Response()

    url, executor = await serve(count), await open_executor({"max_connections": 3})
    async with asyncio.TaskGroup() as group:
        for _ in range(12):
            group.create_task(run({"url": url}, executor=executor))

    assert most == 3


async def test_proxies_named_in_the_environment_are_ignored(serve, run, monkeypatch) -> None:
    asked = []

    async def proxy(request: web.Request) -> web.Response:
        asked.append(request.raw_path)
        return web.Response(status=502)

    address = await serve(proxy)
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, address)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)

    assert (await run({"url": await serve(echo)})).code == "200"
    assert asked == []


async def test_a_netrc_file_is_not_sent_to_anybody(serve, run, monkeypatch, tmp_path) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login joe password hunter2\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))

    seen = (await run({"url": await serve(echo)})).data["body"]

    assert "Authorization" not in seen["headers"]


async def test_a_bad_payload_that_got_this_far_fails_for_good(run) -> None:
    with pytest.raises(TaskFailed, match=r"url: is required.*") as failure:
        await run({"metod": "GET"})

    assert (failure.value.code, failure.value.retryable) == ("payload", False)
    assert "did you mean 'method'" in failure.value.message


async def test_a_cancel_really_closes_the_request(serve_raw, run) -> None:
    arrived, gone = asyncio.Event(), asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        arrived.set()
        assert await reader.read() == b""  # the end of the stream: the client has closed
        gone.set()
        writer.close()

    url = await serve_raw(handle)
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        attempt = group.create_task(run({"url": url}, timeout_s=60))
        await arrived.wait()
        attempt.cancel()
        await gone.wait()

    assert attempt.cancelled()
