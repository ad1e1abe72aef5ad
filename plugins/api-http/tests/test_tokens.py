"""Tokens: the first one, their secrets, expiry, revocation, and what wrong ones cost."""

import asyncio
import time
from datetime import timedelta
from typing import Any

import pytest

from dsched.contracts.store.outcomes import Outcome
from dsched_api_http.scopes import Scope
from dsched_api_http.tokens import CACHE_S, KIND, Tokens
from dsched_testkit.memory import MemoryStore, new_state

HOUR = timedelta(hours=1)


async def test_a_token_is_shown_once_and_kept_as_a_hash_only(api: Any) -> None:
    made = await api.ask("POST", "/tokens", {"name": "ci", "scope": "submit"})
    token, secret = made.body["token"], made.body["token"].split("_", 2)[2]
    listed = await api.ask("GET", "/tokens")
    assert [one["name"] for one in listed.body["items"]] == ["ci"]
    assert secret not in listed.text
    state = api.pod.store.inner._state
    assert secret not in str(state.documents)
    assert secret not in str((await api.ask("GET", "/audit")).text)
    assert (await api.using(token).ask("GET", "/cluster")).status == 200
    assert (await api.using(token[:-1] + "!").ask("GET", "/cluster")).status == 401


async def test_a_revoked_token_is_refused_at_once(api: Any) -> None:
    token = await api.token_of("read")
    assert (await api.using(token).ask("GET", "/configs")).status == 200
    token_id = token.split("_")[1]
    assert (await api.ask("DELETE", f"/tokens/{token_id}")).status == 204
    refused = await api.using(token).ask("GET", "/configs")
    assert (refused.status, refused.body["code"]) == (401, "unauthenticated")
    assert refused.headers["WWW-Authenticate"] == "Bearer"
    assert (await api.ask("DELETE", f"/tokens/{token_id}")).status == 404


async def test_a_revoked_token_is_not_made_anew_by_a_request_that_arrives_late() -> None:
    """Its put had no answer, was repeated, and comes through after all when it is revoked."""
    store = MemoryStore(new_state())
    tokens = Tokens(store)
    made = await tokens.create("ci", Scope.READ, by="eve")
    document = await store.get_document(KIND, made.id)
    assert document is not None
    assert await tokens.revoke(made.id) is not None
    late = await store.put_document(KIND, made.id, document.value, read=0)
    assert late.outcome is Outcome.MOVED
    assert await Tokens(store).recognise(made.token) is None
    assert await tokens.page(None, 10) == ([], None)
    assert await tokens.revoke(made.id) is None


async def test_where_the_last_token_was_revoked_the_next_start_makes_a_first_one() -> None:
    store = MemoryStore(new_state())
    for _ in range(2):
        token = await Tokens(store).create_first()
        assert token is not None
        assert await Tokens(store).recognise(token.token) is not None
        assert await Tokens(store).create_first() is None
        assert await Tokens(store).revoke(token.id) is not None
        assert await Tokens(store).recognise(token.token) is None


async def test_an_expired_token_is_refused(api: Any, eventually: Any) -> None:
    token = await api.token_of("read", expires_in="1h")
    reader = api.using(token)
    assert (await reader.ask("GET", "/configs")).status == 200
    wall = api.pod.store.inner._state
    real = wall.wall
    wall.wall = lambda: real() + 3_600_001

    async def refused() -> bool:
        return bool((await reader.ask("GET", "/configs")).status == 401)

    # Here the store's clock leaps, which is seen when the token is read again; see the next test.
    await eventually(refused, CACHE_S + 5)
    assert (await api.ask("GET", "/tokens")).body["items"] == []


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": "x"},
        {"name": "x", "scope": "root"},
        {"name": "", "scope": "read"},
        {"name": "a b", "scope": "read"},
        {"name": "a\nb", "scope": "read"},
        {"name": "x" * 65, "scope": "read"},
        {"name": "x", "scope": "read", "expires_in": "0s"},
        {"name": "x", "scope": "read", "expires_in": 5},
        {"name": "x", "scope": "read", "admin": True},
    ],
)
async def test_a_token_that_cannot_be_meant_is_refused(api: Any, body: Any) -> None:
    refused = await api.ask("POST", "/tokens", body)
    assert (refused.status, refused.body["code"]) == (422, "invalid")
    assert (await api.ask("GET", "/tokens")).body["items"] == []


async def test_wrong_tokens_make_their_address_wait_but_not_a_good_one(api: Any) -> None:
    token = await api.token_of("read")
    good = api.using(token)
    assert (await good.ask("GET", "/cluster")).status == 200
    stranger = api.using("dsk_abcdef_" + "x" * 43)
    statuses = [(await stranger.ask("GET", "/cluster")).status for _ in range(100)]
    assert statuses[:5] == [401] * 5
    assert set(statuses[5:]) <= {401, 429}
    assert statuses.count(401) < 15  # one more try after 1 s, 2 s, 4 s, ... however slow this is
    async with asyncio.timeout(20):
        while (last := await stranger.ask("GET", "/cluster")).status != 429:
            pass
    assert int(last.headers["Retry-After"]) >= 1
    assert (await good.ask("GET", "/cluster")).status == 200
    assert (await api.ask("GET", "/cluster")).status == 200  # the configured one


async def test_a_token_that_asks_too_often_has_to_wait(serve: Any) -> None:
    async with serve(rate_per_s=1.0) as api:
        answers = [await api.ask("GET", "/schemas/config") for _ in range(4)]
    assert [one.status for one in answers][:2] == [200, 200]
    assert answers[-1].status == 429
    assert answers[-1].body["code"] == "too_many_requests"
    assert int(answers[-1].headers["Retry-After"]) >= 1


async def test_of_several_pods_that_start_at_once_one_makes_the_first_token() -> None:
    state = new_state()
    pods = [Tokens(MemoryStore(state)) for _ in range(5)]
    made = await asyncio.gather(*(tokens.create_first() for tokens in pods))
    (token,) = [one for one in made if one is not None]
    principal = await pods[0].recognise(token.token)
    assert principal is not None
    assert principal.scope == "admin"
    assert await Tokens(MemoryStore(state)).create_first() is None


async def test_the_first_token_is_logged_once_and_works(
    serve: Any, caplog: pytest.LogCaptureFixture
) -> None:
    state = new_state()
    async with serve(state=state, admin_token="") as api:
        async with asyncio.timeout(20):
            while "dsk_" not in caplog.text:
                await asyncio.sleep(0.01)
        (token,) = [word for word in caplog.text.split() if word.startswith("dsk_")]
        assert (await api.using(token).ask("GET", "/tokens")).status == 200
    async with serve(state=state, admin_token="") as api:
        assert (await api.using(token).ask("GET", "/tokens")).status == 200
    assert caplog.text.count("dsk_") == 1


async def test_a_token_that_expires_is_remembered_but_not_beyond_its_end(
    api: Any, eventually: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    store = api.pod.store.inner
    real = store.get_document

    async def counted(kind: str, document_id: str) -> Any:
        asked.append(document_id)
        return await real(kind, document_id)

    monkeypatch.setattr(store, "get_document", counted)
    lasting = api.using(await api.token_of("read", expires_in="1h"))
    assert [(await lasting.ask("GET", "/schemas/config")).status for _ in range(20)] == [200] * 20
    assert len(asked) == 1
    made_s = time.monotonic()
    brief = api.using(await api.token_of("read", expires_in="1s"))
    assert (await brief.ask("GET", "/schemas/config")).status == 200

    async def refused() -> bool:
        return bool((await brief.ask("GET", "/schemas/config")).status == 401)

    await eventually(refused)
    assert 1.0 <= time.monotonic() - made_s < 3.0


async def guessing(api: Any, token: str) -> None:
    """Guess for ever from this address."""
    while True:
        await api.using(token).ask("GET", "/cluster")


async def test_a_good_token_is_never_refused_for_the_guesses_of_others(serve: Any) -> None:
    """Not even one that this pod has never seen, of which others know the id, from their
    address."""
    state = new_state()
    elsewhere = Tokens(MemoryStore(state))
    async with serve(state=state) as api:
        good = [await elsewhere.create("ci", Scope.READ, by="eve") for _ in range(5)]
        good.append(await elsewhere.create("ci", Scope.READ, by="eve", expires_in=HOUR))
        wrong = ["dsk_abcdef_" + "x" * 43, *(f"dsk_{one.id}_" + "x" * 43 for one in good)]
        guesses = [asyncio.create_task(guessing(api, token)) for token in wrong]
        try:
            async with asyncio.timeout(20):
                for token in wrong:
                    while (await api.using(token).ask("GET", "/cluster")).status != 429:
                        pass
            for one in good:
                answers = [await api.using(one.token).ask("GET", "/cluster") for _ in range(3)]
                assert [answer.status for answer in answers] == [200] * 3
            assert (await api.using(wrong[0]).ask("GET", "/cluster")).status == 429
        finally:
            for guess in guesses:
                guess.cancel()
            await asyncio.gather(*guesses, return_exceptions=True)


async def test_where_wrong_tokens_come_from_few_are_looked_up_at_a_time(
    api: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    stranger = api.using("dsk_abcdef_" + "x" * 43)
    while (await stranger.ask("GET", "/cluster")).status != 429:
        pass
    at_once: list[int] = [0, 0]
    store = api.pod.store.inner
    real = store.get_document

    async def counted(kind: str, document_id: str) -> Any:
        at_once[0] += 1
        at_once[1] = max(at_once)
        await asyncio.sleep(0.01)
        at_once[0] -= 1
        return await real(kind, document_id)

    monkeypatch.setattr(store, "get_document", counted)
    answers = await asyncio.gather(*(stranger.ask("GET", "/cluster") for _ in range(50)))
    assert {one.status for one in answers} <= {401, 429}
    assert 1 <= at_once[1] <= 4


async def test_what_an_admin_does_is_asked_of_the_store_and_not_remembered(serve: Any) -> None:
    state = new_state()
    async with serve(state=state) as one, serve(state=state) as other:
        token = await one.token_of("admin")
        admin = other.using(token)
        assert (await admin.ask("GET", "/tokens")).status == 200
        assert (await admin.ask("GET", "/cluster")).status == 200
        assert (await one.ask("DELETE", f"/tokens/{token.split('_')[1]}")).status == 204
        assert (await admin.ask("GET", "/tokens")).status == 401
        made = await admin.ask("POST", "/tokens", {"name": "x", "scope": "admin"})
        assert made.status == 401
        assert (await admin.ask("GET", "/cluster")).status == 401  # the other pod knows by now


@pytest.mark.parametrize(
    "value",
    [None, [], "x", {}, {"name": "x"},
     {"name": "x", "scope": "god", "hash": "y", "created": 1, "by": "z"},
     {"name": "x", "scope": "read", "hash": 7, "created": 1, "by": "z"},
     {"name": "x", "scope": "read", "hash": "\u00e4", "created": 1, "by": "z"},
     {"name": "x", "scope": "read", "hash": "y", "created": "then", "by": "z"}],
)  # fmt: skip
async def test_a_damaged_token_hides_itself_alone(
    api: Any, value: Any, caplog: pytest.LogCaptureFixture
) -> None:
    await api.token_of("read")
    await api.pod.store.put_document(KIND, "damaged", value, read=0)
    listed = await api.ask("GET", "/tokens")
    assert listed.status == 200
    assert [one["name"] for one in listed.body["items"]] == ["test"]
    assert (await api.using("dsk_damaged_" + "x" * 43).ask("GET", "/cluster")).status == 401
    assert caplog.text.count("token damaged is damaged") == 1
    assert "ERROR" not in caplog.text
    assert (await api.ask("DELETE", "/tokens/damaged")).status == 204
    assert (await api.ask("DELETE", "/tokens/damaged")).status == 404
