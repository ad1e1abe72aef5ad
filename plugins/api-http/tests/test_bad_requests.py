"""What cannot be accepted is answered with a problem document, and changes nothing."""

import asyncio
import io
import json
from typing import Any

import pytest

SPEC = {"executor": "echo"}
ENTRY = {"executor": "echo", "every": "1h"}


def problem(reply: Any, status: int, code: str) -> None:
    """The answer is this problem, as a document."""
    assert reply.status == status, reply.text
    assert reply.headers["Content-Type"] == "application/problem+json"
    assert reply.body["status"] == status
    assert reply.body["code"] == code
    assert reply.body["type"] == f"about:blank#{code}"
    assert reply.body["title"]
    assert "Traceback" not in reply.text
    assert 'File "' not in reply.text


async def unchanged(api: Any) -> None:
    """Nothing is stored but what the API itself writes."""
    assert (await api.ask("GET", "/configs")).body["items"] == []
    assert not api.pod.store.inner._state.tasks


BODIES: list[tuple[str, bytes, int, str]] = [
    ("empty", b"", 422, "invalid"),
    ("not JSON", b"{", 422, "invalid"),
    ("not UTF-8", b'{"id": "\xff"}', 422, "invalid"),
    ("UTF-16", '{"id": "a"}'.encode("utf-16"), 422, "invalid"),
    ("a list", b"[]", 422, "invalid"),
    ("a number", b"7", 422, "invalid"),
    ("null", b"null", 422, "invalid"),
    ("NaN", b'{"payload": NaN}', 422, "invalid"),
    ("infinity", b'{"payload": -Infinity}', 422, "invalid"),
    ("infinite in effect", b'{"payload": 1e999}', 422, "invalid"),
    ("a name twice", b'{"executor": "echo", "executor": "echo"}', 422, "invalid"),
    ("a lone surrogate", b'{"name": "\\ud800"}', 422, "invalid"),
    ("a very long number", b'{"payload": ' + b"9" * 5000 + b"}", 422, "invalid"),
    ("too deep", b'{"payload": ' + b"[" * 65 + b"]" * 65 + b"}", 422, "invalid"),
    ("far too deep", b"[" * 500_000, 422, "invalid"),
    ("too large", b'{"payload": "' + b"x" * 1_048_576 + b'"}', 413, "too_large"),
    ("a payload too large",
     json.dumps({**SPEC, "every": "1h", "payload": "x" * 262_145}).encode(), 422, "invalid"),
    ("unknown field", b'{"executor": "echo", "every": "1h", "exekutor": "echo"}', 422, "invalid"),
    ("wrong type", b'{"executor": "echo", "every": 5}', 422, "invalid"),
    ("unknown executor", b'{"executor": "os.system", "every": "1h"}', 422, "invalid"),
    ("a reserved field", b'{"executor": "echo", "every": "1h", "namespace": "a"}', 422, "invalid"),
    ("priority too high", b'{"executor": "echo", "every": "1h", "priority": 10}', 422, "invalid"),
    ("control characters", (b'{"executor": "echo", "every": "1h", "name": '
                           b'"a\\u0000b"}'), 422, "invalid"),
]  # fmt: skip


@pytest.mark.parametrize(("what", "body", "status", "code"), BODIES, ids=[one[0] for one in BODIES])
async def test_a_body_that_cannot_be_meant(
    api: Any, what: str, body: bytes, status: int, code: str
) -> None:
    sent = {"Content-Type": "application/json"}
    for method, path in (("PUT", "/configs/c"), ("PATCH", "/configs/c"), ("POST", "/tasks")):
        if method == "PATCH" and status == 422 and body.startswith(b'{"executor'):
            continue  # of a config that there is: below
        reply = await api.ask(method, path, None, sent, data=io.BytesIO(body))
        # `every` is no field of a task; the others are refused for what they are.
        problem(reply, status, code)
    await unchanged(api)


async def test_a_patch_that_makes_no_config_changes_nothing(api: Any) -> None:
    made = await api.ask("PUT", "/configs/c", ENTRY)
    for patch in ({"every": None}, {"cron_expr": "* * * * *"}, {"executor": "none"}, {"id": "d"}):
        problem(await api.ask("PATCH", "/configs/c", patch), 422, "invalid")
    assert (await api.ask("GET", "/configs/c")).body == made.body


async def test_only_json_is_read(api: Any) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        reply = await api.ask("POST", "/tasks", None, {"Content-Type": kind}, data=b'{"a": 1}')
        problem(reply, 415, "unsupported_media")
    await unchanged(api)


async def test_every_wrong_field_is_named_with_its_place(api: Any) -> None:
    entry = {**ENTRY, "retry": {"max_retries": "many"}, "timeout": 7, "nmae": "x"}
    reply = await api.ask("PUT", "/configs/c", entry)
    problem(reply, 422, "invalid")
    fields = {one["field"] for one in reply.body["errors"]}
    assert {"retry.max_retries", "timeout", "nmae"} <= fields
    assert "did you mean 'name'" in reply.text


@pytest.mark.parametrize(
    "config_id", ["a%20b", "a%2Fb", "..%2F..%2Fetc", "%00", "x" * 129, "a@b", "%F0%9F%98%80", "*"]
)
async def test_an_id_that_cannot_be_one_is_not_there_and_not_made(api: Any, config_id: str) -> None:
    problem(await api.ask("GET", f"/configs/{config_id}"), 404, "not_found")
    problem(await api.ask("PATCH", f"/configs/{config_id}", {}), 404, "not_found")
    problem(await api.ask("DELETE", f"/configs/{config_id}"), 404, "not_found")
    problem(await api.ask("PUT", f"/configs/{config_id}", ENTRY), 422, "invalid")
    for path in (f"/configs/{config_id}/upcoming", f"/configs/{config_id}/decisions"):
        problem(await api.ask("GET", path), 404, "not_found")
    if "@" not in config_id:
        problem(await api.ask("GET", f"/tasks/{config_id}"), 404, "not_found")
    problem(await api.ask("GET", f"/workers/{config_id}"), 404, "not_found")
    problem(await api.ask("DELETE", f"/tokens/{config_id}"), 404, "not_found")
    await unchanged(api)


async def test_a_batch_has_a_bound(api: Any) -> None:
    reply = await api.ask("POST", "/tasks/batch", {"items": [SPEC] * 101})
    problem(reply, 422, "invalid")
    await unchanged(api)
    assert (await api.ask("POST", "/tasks/batch", {"items": [SPEC] * 100})).status == 207
    assert (await api.ask("POST", "/tasks/batch", {"items": []})).body == {"items": []}


async def test_unknown_addresses_and_methods(api: Any) -> None:
    problem(await api.ask("GET", "/nothing"), 404, "not_found")
    reply = await api.ask("PUT", "/configs", {})
    problem(reply, 405, "method_not_allowed")
    assert "GET" in reply.headers["Allow"]


@pytest.mark.parametrize(
    "query", ["?limit=0", "?limit=501", "?limit=x", "?limit=1&limit=2", "?cursor=%00", "?page=2"],
)  # fmt: skip
async def test_a_query_that_cannot_be_meant(api: Any, query: str) -> None:
    for path in ("/configs", "/workers", "/audit", "/tokens"):
        reply = await api.ask("GET", path + query)
        problem(reply, 422, "invalid")


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /livez?" + b"x" * 9000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX: " + b"y" * 20_000 + b"\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nno header at all\r\n\r\n",
        b"POST /api/v1/tasks HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"\x00" * 100 + b"\r\n\r\n",
    ],
)
async def test_what_is_no_http_is_answered_without_a_trace_or_a_version(
    api: Any, sent: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    host, port = api.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(sent)
    async with asyncio.timeout(20):
        answer = (await reader.read()).decode()
    writer.close()
    await writer.wait_closed()
    assert answer.split(" ")[1] == "400", answer
    assert "Server: dsched" in answer
    assert "nosniff" in answer
    assert "aiohttp" not in answer
    assert "bad_request" in answer
    assert caplog.text == ""


async def test_a_defect_is_answered_without_a_trace_and_logged_with_one(
    api: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_: object) -> Any:
        raise RuntimeError("canary-of-the-defect")

    monkeypatch.setattr("dsched_api_http.routes.cluster.leader_of", broken)
    reply = await api.ask("GET", "/cluster")
    problem(reply, 500, "internal")
    assert "canary" not in reply.text
    assert "canary-of-the-defect" in caplog.text
    assert reply.body["detail"].split()[-1] in caplog.text


async def test_a_store_that_is_away_is_said_so(api: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from dsched.contracts import StoreUnavailableError

    async def away(*_: object, **__: object) -> Any:
        raise StoreUnavailableError("redis at 10.0.0.7", maybe_applied=False)

    monkeypatch.setattr(api.pod.store.inner, "leader", away)
    reply = await api.ask("GET", "/cluster")
    problem(reply, 503, "store_unavailable")
    assert reply.headers["Retry-After"]
    assert "10.0.0.7" not in reply.text
    assert (await api.ask("GET", "/livez")).status == 200
