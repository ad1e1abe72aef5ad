"""Tokens: the first one, their secrets, expiry, revocation, and what wrong ones cost."""

import asyncio
from typing import Any

import pytest

from dsched.contracts.store.outcomes import Outcome
from dsched_api_http.scopes import Scope
from dsched_api_http.tokens import KIND, Tokens
from dsched_testkit.memory import MemoryStore, new_state


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


async def test_an_expired_token_is_refused(api: Any) -> None:
    token = await api.token_of("read", expires_in="1h")
    reader = api.using(token)
    assert (await reader.ask("GET", "/configs")).status == 200
    wall = api.pod.store.inner._state
    real = wall.wall
    wall.wall = lambda: real() + 3_600_001
    assert (await reader.ask("GET", "/configs")).status == 401
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
