"""Secrets by reference: they reach the target, and nothing else that an attempt leaves behind."""

import json
import logging
import traceback
from urllib.parse import quote

import pytest
from aiohttp import web

from dsched.contracts import TaskFailed

CANARY = 'canary "7f3e"/ä&=\\x'  # spelt differently in JSON and in URLs
HEADER_CANARY = "canary-91c4-header"


@pytest.fixture
def secret_options(monkeypatch, tmp_path):
    monkeypatch.setenv("T_TOKEN", HEADER_CANARY)
    monkeypatch.setenv("T_OTHER", "other")
    monkeypatch.setenv("DSCHED_REDIS__PASSWORD", "the store's own")
    (tmp_path / "api-key.txt").write_text(CANARY + "\n")
    return {"secret_env": ["T_*"], "secret_dir": str(tmp_path)}


PAYLOAD = {
    "headers": {"Authorization": "Bearer secret://env/T_TOKEN"},
    "json": {"key": "secret://file/api-key.txt", "list": ["x secret://env/T_TOKEN y"], "n": 1},
}


async def test_a_reference_is_filled_in_where_it_stands(serve, run, secret_options) -> None:
    seen = {}

    async def note(request: web.Request) -> web.Response:
        seen["auth"] = request.headers["Authorization"]
        seen["json"] = await request.json()
        return web.Response()

    await run({"url": await serve(note), **PAYLOAD}, options=secret_options)

    assert seen == {
        "auth": f"Bearer {HEADER_CANARY}",
        "json": {"key": CANARY, "list": [f"x {HEADER_CANARY} y"], "n": 1},
    }


async def test_a_text_body_is_filled_in_too(serve, run, secret_options) -> None:
    async def echo(request: web.Request) -> web.Response:
        return web.Response(text=str(await request.text() == f"key={CANARY}."))

    payload = {"url": await serve(echo), "body": "key=secret://file/api-key.txt."}
    assert (await run(payload, options=secret_options)).data["body"] == "True"


def spellings() -> set[str]:
    values = (CANARY, HEADER_CANARY)
    return {
        spelling
        for value in values
        for spelling in (
            *(value, json.dumps(value), json.dumps(value)[1:-1], quote(value, safe="")),
            *(json.dumps(value, ensure_ascii=False)[1:-1], repr(value)[1:-1]),
        )
    }


@pytest.mark.parametrize("status", [200, 401, 503, 302, 0])
@pytest.mark.parametrize("form", ["json", "text", "escaped", "urlencoded", "header", "reason"])
async def test_no_secret_is_in_a_result_an_error_or_a_log(
    serve_raw, run, secret_options, caplog, status, form
) -> None:
    caplog.set_level(logging.DEBUG)
    leaks = {
        "json": json.dumps({CANARY: [HEADER_CANARY, {"k": f"a{CANARY}b"}]}),
        "text": f"you sent {CANARY} and {HEADER_CANARY}",
        "escaped": json.dumps(CANARY) + json.dumps(CANARY, ensure_ascii=False),
        "urlencoded": quote(f"{CANARY}&{HEADER_CANARY}", safe=""),
    }
    body = leaks.get(form, "").encode()
    leak = f"{HEADER_CANARY} {quote(CANARY, safe='')}"
    kind = "application/json" if form == "json" else "text/plain"

    async def handle(reader, writer) -> None:  # type: ignore[no-untyped-def]
        await reader.readuntil(b"\r\n\r\n")
        head = [
            f"HTTP/1.1 {status} {leak if form == 'reason' else 'Some Reason'}",
            f"X-Request-Id: {leak if form == 'header' else '-'}",
            f"Location: /{quote(leak) if form == 'header' else ''}",
            f"Content-Type: {kind}",
            f"Content-Length: {len(body)}",
        ]
        writer.write("\r\n".join(head).encode() + b"\r\n\r\n" + body)
        writer.close()
        await writer.wait_closed()

    try:
        result = await run({"url": await serve_raw(handle), **PAYLOAD}, options=secret_options)
        left = [repr(result), json.dumps(result.data), json.dumps(result.data, ensure_ascii=False)]
        assert status == 200
    except TaskFailed as failure:
        left = ["".join(traceback.format_exception(failure)), repr(vars(failure))]
        left.append(json.dumps(failure.data, ensure_ascii=False))
        assert status != 200
    left.append(caplog.text)

    for spelling in spellings():
        for text in left:
            assert spelling not in text


async def test_a_cut_body_does_not_end_in_half_a_secret(serve, run, secret_options) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(text="." * 1990 + HEADER_CANARY)

    result = await run(
        {"url": await serve(answer), **PAYLOAD},
        options={**secret_options, "max_response_bytes": 2000},
    )

    assert result.data["body"].strip(".") == ""
    assert result.data["truncated"] is True


@pytest.mark.parametrize(
    ("reference", "reason"),
    [
        ("secret://env/T_MISSING", "no such environment variable"),
        ("secret://env/DSCHED_REDIS__PASSWORD", r"executors\.http\.secret_env"),
        ("secret://file/missing", r"no file 'missing' under executors\.http\.secret_dir"),
    ],
)
async def test_a_reference_that_leads_nowhere_sends_nothing(
    serve, run, secret_options, reference, reason
) -> None:
    calls = []

    async def note(request: web.Request) -> web.Response:
        calls.append(request.path)
        return web.Response()

    with pytest.raises(TaskFailed, match=reason) as failure:
        await run({"url": await serve(note), "body": reference}, options=secret_options)

    assert (failure.value.code, failure.value.retryable) == ("secret", False)
    assert reference in failure.value.message
    assert calls == []


async def test_without_options_no_secret_can_be_had(run, monkeypatch) -> None:
    monkeypatch.setenv("HOME_TOKEN", "x")
    for reference in ("secret://env/HOME_TOKEN", "secret://file/passwd"):
        with pytest.raises(TaskFailed) as failure:
            await run({"url": "http://127.0.0.1:1/", "body": reference})
        assert failure.value.code == "secret"


async def test_a_secret_with_a_line_break_is_not_put_into_a_header(
    run, secret_options, monkeypatch
) -> None:
    monkeypatch.setenv("T_TOKEN", "evil\r\nX-Injected: 1")

    with pytest.raises(TaskFailed, match=r"headers\.Authorization") as failure:
        await run({"url": "http://127.0.0.1:1/", **PAYLOAD}, options=secret_options)

    assert failure.value.code == "secret"
    assert "evil" not in failure.value.message


async def test_a_secret_is_read_anew_for_each_attempt(
    serve, run, open_executor, secret_options, monkeypatch
) -> None:
    seen = []

    async def note(request: web.Request) -> web.Response:
        seen.append(await request.text())
        return web.Response()

    url, executor = await serve(note), await open_executor(secret_options)
    for value in ("first", "second"):
        monkeypatch.setenv("T_TOKEN", value)
        await run({"url": url, "body": "secret://env/T_TOKEN"}, executor=executor)

    assert seen == ["first", "second"]
