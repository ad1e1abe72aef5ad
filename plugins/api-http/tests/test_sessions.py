"""Sessions of browsers: what a cookie may do, when it ends, and the links that log in once."""

import asyncio
import logging
import re
from pathlib import Path
from typing import Any

import pytest

from dsched_api_http import streams
from dsched_api_http.sessions import LINK_S, READ_S, Sessions
from dsched_api_http.tokens import Tokens
from dsched_testkit.memory import MemoryStore, new_state

SAME = {"Sec-Fetch-Site": "same-origin"}
TASK = {"executor": "echo", "payload": {"n": 1}}


async def logged_in(api: Any, token: str, **headers: str) -> str:
    """The cookie of a new session, as a browser sends it back."""
    opened = await api.using("").ask("POST", "/session", {"token": token}, headers)
    assert opened.status == 201, opened.text
    return str(opened.headers["Set-Cookie"].partition(";")[0])


def browser(api: Any, cookie: str) -> Any:
    """Asks like a page of this origin does."""

    async def ask(method: str, path: str, body: Any = None, **headers: str) -> Any:
        return await api.using("").ask(method, path, body, {"Cookie": cookie, **SAME, **headers})

    return ask


async def test_a_session_may_what_its_token_may_and_no_more(api: Any) -> None:
    ask = browser(api, await logged_in(api, await api.token_of("submit")))
    who = await ask("GET", "/session")
    assert (who.status, who.body["scope"]) == (200, "submit")
    assert (await ask("POST", "/tasks", TASK)).status == 201
    assert (await ask("GET", "/audit")).status == 403
    assert (await ask("POST", "/tokens", {"name": "x", "scope": "read"})).status == 403


async def test_the_cookie_is_for_this_origin_and_out_of_reach_of_scripts(api: Any) -> None:
    token = await api.token_of("read")
    opened = await api.using("").ask("POST", "/session", {"token": token})
    header = opened.headers["Set-Cookie"]
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(header.split("; "))
    assert "Secure" not in header
    secret = token.split("_", 2)[2]  # which may have more of them
    assert secret not in header
    assert secret not in opened.text
    host = api.url.removeprefix("http://")
    origin = {"Origin": f"https://{host}"}
    behind_tls = await api.using("").ask("POST", "/session", {"token": token}, origin)
    assert "Secure" in behind_tls.headers["Set-Cookie"].split("; ")


async def test_the_store_keeps_neither_the_cookie_nor_the_token(api: Any) -> None:
    token = await api.token_of("read")
    cookie = await logged_in(api, token)
    page = await api.pod.store.list_documents("api-session", None, 10)
    kept = str([one.value for one in page.documents])
    assert cookie.rpartition(".")[2] not in kept
    assert token.split("_", 2)[2] not in kept


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, 201),
        ({"Sec-Fetch-Site": "none"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Origin": "https://console.example", "Sec-Fetch-Site": "cross-site"}, 403),
        ({"Origin": "https://console.example"}, 403),
        ({"Origin": "null"}, 403),
        ({}, 403),
    ],
)
async def test_a_change_by_cookie_needs_a_page_of_this_very_origin(
    serve: Any, headers: dict[str, str], status: int
) -> None:
    async with serve(origins=["https://console.example"]) as api:
        cookie = await logged_in(api, await api.token_of("submit"))
        given = {"Cookie": cookie, **headers}
        answer = await api.using("").ask("POST", "/tasks", TASK, given)
        assert answer.status == status, answer.text
        # Whoever sends a token sends it on purpose: no page can without being let.
        by_token = {k: v for k, v in headers.items() if k == "Origin" and v != "null"}
        assert (await api.ask("POST", "/tasks", TASK, by_token)).status == 201


async def test_an_older_browser_is_known_by_its_origin(api: Any) -> None:
    cookie = await logged_in(api, await api.token_of("submit"))
    given = {"Cookie": cookie, "Origin": api.url}
    assert (await api.using("").ask("POST", "/tasks", TASK, given)).status == 201


async def test_revoking_the_token_ends_its_sessions_at_once(api: Any) -> None:
    token = await api.token_of("read")
    ask = browser(api, await logged_in(api, token))
    assert (await ask("GET", "/configs")).status == 200
    assert (await api.ask("DELETE", f"/tokens/{token.split('_')[1]}")).status == 204
    assert (await ask("GET", "/configs")).status == 401


async def test_revoking_the_token_ends_the_stream_of_its_session(
    api: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "CHECK_S", 0.05)
    token = await api.token_of("read")
    cookie = await logged_in(api, token)
    asked = api.http.get(f"{api.url}/api/v1/events", headers={"Cookie": cookie, **SAME})
    async with asyncio.timeout(20), asked as stream:
        assert stream.status == 200
        await stream.content.readuntil(b"\n\n")
        assert (await api.ask("DELETE", f"/tokens/{token.split('_')[1]}")).status == 204
        while await stream.content.read(1024):
            pass  # until the server ends it


async def test_a_token_that_was_made_anew_under_the_same_id_revives_no_session(api: Any) -> None:
    tokens = api.pod.store
    token = await api.token_of("read")
    cookie = await logged_in(api, token)
    document = await tokens.get_document("api-token", token.split("_")[1])
    value = {**document.value, "hash": "0" * 64}
    await tokens.put_document("api-token", document.id, value, read=document.version, ttl_ms=None)
    assert (await browser(api, cookie)("GET", "/configs")).status == 401


async def test_logging_out_ends_the_session_and_takes_the_cookie_away(api: Any) -> None:
    cookie = await logged_in(api, await api.token_of("read"))
    ask = browser(api, cookie)
    gone = await ask("DELETE", "/session")
    assert gone.status == 204
    assert "Max-Age=0" in gone.headers["Set-Cookie"]
    assert (await ask("GET", "/session")).status == 401


async def test_a_session_is_known_to_every_pod_of_the_store(serve: Any) -> None:
    state = new_state()
    async with serve(state=state) as one, serve(state=state) as two:
        cookie = await logged_in(one, await one.token_of("read"))
        port = two.url.rpartition(":")[2]
        moved = re.sub(r"session_\d+", f"session_{port}", cookie)
        assert (await browser(two, moved)("GET", "/configs")).status == 200


@pytest.mark.parametrize("cookie", ["x", "0" * 24 + "." + "x" * 43, "é", "a" * 5000])
async def test_a_cookie_that_is_none_is_refused_and_says_nothing(api: Any, cookie: str) -> None:
    port = api.url.rpartition(":")[2]
    sent = f"dsched_session_{port}={cookie}".encode().decode("latin-1")
    answer = await browser(api, sent)("GET", "/configs")
    assert answer.status == 401
    assert cookie not in answer.text


async def test_guessing_sessions_is_slowed_down_and_locks_nobody_out(api: Any) -> None:
    good = await logged_in(api, await api.token_of("read"))
    port = api.url.rpartition(":")[2]
    seen = set()
    for number in range(60):
        guess = f"dsched_session_{port}={number:024d}.{'x' * 43}"
        seen.add((await browser(api, guess)("GET", "/configs")).status)
    assert seen == {401, 429}
    assert (await browser(api, good)("GET", "/configs")).status == 200


async def test_a_wrong_token_opens_nothing_and_guesses_have_to_wait(api: Any) -> None:
    statuses = []
    for number in range(8):
        wrong = {"token": f"dsk_abcdef{number}_{'x' * 43}"}
        answer = await api.using("").ask("POST", "/session", wrong)
        assert "Set-Cookie" not in answer.headers
        statuses.append(answer.status)
    assert set(statuses) == {401, 429}


@pytest.mark.parametrize("body", [{}, {"token": "a", "once": "b"}, {"token": 1}, {"user": "x"}])
async def test_a_login_that_cannot_be_meant_is_refused(api: Any, body: dict[str, Any]) -> None:
    assert (await api.using("").ask("POST", "/session", body)).status == 422


async def test_opening_a_session_is_in_the_audit(api: Any) -> None:
    await logged_in(api, await api.token_of("read"))
    newest = (await api.ask("GET", "/audit")).body["items"][0]
    assert (newest["action"], newest["outcome"]) == ("session.open", "ok")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "index.html").write_text("<p>hello</p>")
    return tmp_path


def link_in(text: str, name: str = "shop") -> str:
    found = re.search(rf"/{name}/#once=([\w-]+)", text)
    assert found is not None, text
    return found[1]


async def test_the_link_that_is_printed_logs_in_once(
    serve: Any, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with serve(pages=folder) as api:
        once = {"once": link_in(caplog.text)}
        opened = await api.using("").ask("POST", "/session", once)
        assert (opened.status, opened.body["scope"]) == (201, "admin")
        again = await api.using("").ask("POST", "/session", once)
        assert (again.status, again.body["code"]) == (401, "unauthenticated")
        ask = browser(api, opened.headers["Set-Cookie"].partition(";")[0])
        assert (await ask("GET", "/configs")).status == 200
        # The token behind it is in the list, so that it can be revoked.
        (made,) = [
            one
            for one in (await ask("GET", "/tokens")).body["items"]
            if one["name"] == "console-link"
        ]
        assert made["expires"] is not None
        await api.ask("DELETE", f"/tokens/{made['id']}")
        assert (await ask("GET", "/configs")).status == 401


@pytest.mark.parametrize(
    "headers", [{"X-Forwarded-For": "1.2.3.4"}, {"Forwarded": "for=1.2.3.4"}, {"Via": "1.1 proxy"}]
)
async def test_a_link_works_only_on_the_machine_of_its_pod(
    serve: Any, folder: Path, caplog: pytest.LogCaptureFixture, headers: dict[str, str]
) -> None:
    caplog.set_level(logging.INFO)
    async with serve(pages=folder) as api:
        once = {"once": link_in(caplog.text)}
        assert (await api.using("").ask("POST", "/session", once, headers)).status == 403
        assert (await api.using("").ask("POST", "/session", once)).status == 201


async def test_no_link_is_made_where_others_could_reach_it_or_nobody_needs_it(
    serve: Any, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with serve(pages=folder, bind="0.0.0.0"):
        assert "#once" not in caplog.text
    async with serve(pages=folder, auth="none"):
        assert "#once" not in caplog.text
        assert "/shop/" in caplog.text


async def test_a_link_is_good_for_a_minute() -> None:
    clock = [0.0]
    store = MemoryStore(new_state())
    sessions = Sessions(store, Tokens(store), monotonic=lambda: clock[0])
    late, soon = sessions.link(), sessions.link()
    clock[0] = LINK_S - 0.1
    assert await sessions.redeem(soon) is not None
    clock[0] = LINK_S + 0.1
    assert await sessions.redeem(late) is None
    assert await sessions.redeem("") is None


async def test_a_session_that_is_closed_ends_its_stream_here(
    api: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "CHECK_S", 0.05)
    cookie = await logged_in(api, await api.token_of("read"))
    asked = api.http.get(f"{api.url}/api/v1/events", headers={"Cookie": cookie, **SAME})
    async with asyncio.timeout(20), asked as stream:
        await stream.content.readuntil(b"\n\n")
        assert (await browser(api, cookie)("DELETE", "/session")).status == 204
        while await stream.content.read(1024):
            pass  # until the server ends it


async def test_a_session_that_another_pod_has_closed_is_seen_after_a_while(api: Any) -> None:
    clock = [0.0]
    store = api.pod.store
    here = Sessions(store, Tokens(store), monotonic=lambda: clock[0])
    there = Sessions(store, Tokens(store))
    token = await api.token_of("read")
    principal = await Tokens(store).recognise(token)
    assert principal is not None
    opened = await there.open(token, principal)
    assert await here.stands(opened.cookie)
    await there.close(opened.cookie)
    assert await here.stands(opened.cookie)
    clock[0] = READ_S + 0.1
    assert not await here.stands(opened.cookie)
