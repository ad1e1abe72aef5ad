"""One answer for many who say how old it may be: shared at the same time and for a moment after,
and never with those whom it is not for, or from before what they have heard."""

import asyncio
import gc
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from dsched_api_http.shared_answers import (
    MAX_ALL_BYTES,
    MAX_BYTES,
    MAX_KEPT,
    SharedAnswers,
    max_age_of,
)
from dsched_api_http.token_reads import FEW, KIND, TokenReads
from dsched_api_http.tokens import Tokens
from dsched_testkit.memory import MemoryStore, new_state

OLD_ENOUGH = {"Cache-Control": "max-age=60"}
ENTRY = {"executor": "echo", "every": "1h", "payload": {"secret": "of the payload"}}


def calls_of(reply: Any) -> int:
    return int(reply.headers["Dsched-Store-Calls"])


def asking(answers: list[bytes]) -> Callable[[], Any]:
    """Something that is asked and answers with the next of these."""

    async def ask() -> bytes:
        await asyncio.sleep(0)
        return answers.pop(0)

    return ask


async def test_those_who_ask_at_the_same_time_cost_the_store_as_much_as_one(api: Any) -> None:
    alone = calls_of(await api.ask("GET", "/workers"))
    assert alone > 0
    asked = [api.ask("GET", "/workers", headers=OLD_ENOUGH) for _ in range(30)]
    found = await asyncio.gather(*asked)
    assert sum(map(calls_of, found)) == alone
    assert {one.text for one in found} == {found[0].text}
    later = await api.ask("GET", "/workers", headers=OLD_ENOUGH)
    assert (calls_of(later), later.status, later.text) == (0, 200, found[0].text)
    assert int(later.headers["Age"]) >= 0


async def test_who_says_nothing_reads_the_store(api: Any) -> None:
    before = await api.ask("GET", "/configs", headers=OLD_ENOUGH)
    assert before.body["items"] == []
    assert (await api.ask("PUT", "/configs/new", ENTRY)).status == 201
    for headers in ({}, {"Cache-Control": "no-cache"}, {"Cache-Control": "max-age=0"}):
        found = await api.ask("GET", "/configs", headers=headers)
        assert [one["id"] for one in found.body["items"]] == ["new"]
        assert "Age" not in found.headers


async def test_who_has_heard_of_something_reads_what_it_says(api: Any) -> None:
    async with api.http.get(
        f"{api.url}/api/v1/events?topics=config", headers={"Authorization": f"Bearer {api.token}"}
    ) as stream:
        await stream.content.readuntil(b"\n\n")
        assert (await api.ask("GET", "/configs", headers=OLD_ENOUGH)).body["items"] == []
        await api.ask("PUT", "/configs/new", ENTRY)
        async with asyncio.timeout(20):
            while b"event: config" not in await stream.content.readuntil(b"\n\n"):
                pass
        found = await api.ask("GET", "/configs", headers=OLD_ENOUGH)
        assert [one["id"] for one in found.body["items"]] == ["new"]


async def test_an_answer_is_shared_with_those_alone_who_may_see_as_much(api: Any) -> None:
    await api.ask("PUT", "/configs/new", ENTRY)
    reader = api.using(await api.token_of("read"))
    shown = await api.ask("GET", "/configs/new", headers=OLD_ENOUGH)
    assert "of the payload" in shown.text
    hidden = await reader.ask("GET", "/configs/new", headers=OLD_ENOUGH)
    assert (hidden.status, "of the payload" in hidden.text) == (200, False)
    assert (await api.ask("GET", "/configs/new", headers=OLD_ENOUGH)).text == shown.text


async def test_an_answer_is_shared_with_nobody_whose_token_is_revoked(api: Any) -> None:
    made = await api.ask("POST", "/tokens", {"name": "x", "scope": "admin"})
    other = api.using(made.body["token"])
    assert (await other.ask("GET", "/workers", headers=OLD_ENOUGH)).status == 200
    await api.ask("DELETE", f"/tokens/{made.body['id']}")
    assert (await other.ask("GET", "/workers", headers=OLD_ENOUGH)).status == 401


async def test_a_refusal_is_not_kept(api: Any) -> None:
    missing = await api.ask("GET", "/configs/new", headers=OLD_ENOUGH)
    assert (missing.status, missing.body["code"]) == (404, "not_found")
    made = await api.ask("PUT", "/configs/new", ENTRY)
    found = await api.ask("GET", "/configs/new", headers=OLD_ENOUGH)
    assert (found.status, found.headers["ETag"]) == (200, made.headers["ETag"])


async def test_a_session_is_told_of_itself_whatever_others_were_told(api: Any) -> None:
    reader = api.using(await api.token_of("read"))
    names = [
        (await one.ask("GET", "/session", headers=OLD_ENOUGH)).body["name"] for one in (api, reader)
    ]
    assert names[0] != names[1]


async def test_an_answer_is_as_old_as_it_may_be_and_no_older() -> None:
    clock = [0.0]
    shared = SharedAnswers[bytes](lambda: 0, len, monotonic=lambda: clock[0])
    ask = asking([b"first", b"second", b"third"])
    assert await shared.answer(("x",), 2.0, ask) == (b"first", True, 0.0)
    clock[0] = 1.9
    assert await shared.answer(("x",), 2.0, ask) == (b"first", False, 1.9)
    assert (await shared.answer(("x",), 1.0, ask))[0] == b"second"
    assert (await shared.answer(("y",), 60.0, ask))[0] == b"third"


async def test_what_is_answered_goes_on_when_the_first_who_asked_leaves() -> None:
    shared = SharedAnswers[bytes](lambda: 0, len)
    gate = asyncio.Event()

    async def ask() -> bytes:
        await gate.wait()
        return b"found"

    first, second = (asyncio.create_task(shared.answer(("x",), 9.0, ask)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.wait({first})
    gate.set()
    assert (await second)[:2] == (b"found", False)
    assert first.cancelled()


@pytest.mark.parametrize("waiting", [True, False])
async def test_an_error_is_for_those_who_waited_and_for_nobody_else(waiting: bool) -> None:
    told: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    shared = SharedAnswers[bytes](lambda: 0, len)

    async def ask() -> bytes:
        raise ConnectionError("away")

    asked = [asyncio.create_task(shared.answer(("x",), 9.0, ask)) for _ in range(3)]
    if not waiting:
        await asyncio.sleep(0)
        for one in asked:
            one.cancel()
    await asyncio.wait(asked)
    assert all(one.cancelled() or isinstance(one.exception(), ConnectionError) for one in asked)
    assert (await shared.answer(("x",), 9.0, asking([b"back"])))[:2] == (b"back", True)
    del asked
    gc.collect()
    assert told == []


async def test_what_is_kept_is_bounded_by_number_and_by_size() -> None:
    shared = SharedAnswers[bytes](lambda: 0, len)
    huge = b"x" * (MAX_BYTES + 1)
    ask = asking([huge, huge])
    assert [(await shared.answer(("x",), 9.0, ask))[1] for _ in range(2)] == [True, True]
    large = b"x" * MAX_BYTES
    for number in range(40):
        await shared.answer((str(number),), 9.0, asking([large]))
    assert sum(one.size for one in shared._asked.values()) <= MAX_ALL_BYTES
    for number in range(2 * MAX_KEPT):
        await shared.answer((str(number), "small"), 9.0, asking([b"x"]))
    assert len(shared._asked) <= MAX_KEPT
    assert not (await shared.answer((str(2 * MAX_KEPT - 1), "small"), 9.0, asking([])))[1]


@pytest.mark.parametrize(
    ("header", "age"),
    [
        ("max-age=2", 2.0),
        ("no-transform, MAX-AGE=15", 15.0),
        ("max-age=0", None),
        ("no-cache", None),
        ("s-max-age=2", None),
        ("max-age=-1", None),
        ("max-age=9999999", None),
        ("", None),
        (None, None),
    ],
)
def test_how_old_an_answer_may_be_is_read_of_the_header(
    header: str | None, age: float | None
) -> None:
    assert max_age_of(header) == age


class Counting:
    """A store that counts its calls."""

    def __init__(self, store: Any) -> None:
        self.made: Counter[str] = Counter()
        self._store = store

    def __getattr__(self, step: str) -> Callable[..., Awaitable[Any]]:
        def call(*args: Any, **kwargs: Any) -> Any:
            self.made[step] += 1
            return getattr(self._store, step)(*args, **kwargs)

        return call


@pytest.mark.parametrize("others", [0, 150])
async def test_many_tokens_are_read_at_once(others: int) -> None:
    store = MemoryStore(new_state())
    for n in range(others):
        value = {"name": "other", "scope": "read"}
        await store.put_document(KIND, f"a{n:03}", value, read=0)
    names = [f"{letter}{n:02}" for n in range(30) for letter in ("0", "z")]
    for name in names:
        await store.put_document(KIND, name, {"name": name}, read=0)
    counting: Any = Counting(store)
    reads = TokenReads(counting)
    found = await asyncio.gather(*map(reads.document, [*names, "gone"]))
    assert [one and one.id for one in found] == [*names, None]
    assert counting.made["list_documents"] == 1
    assert counting.made.total() <= (2 if not others else 2 + len(names))
    counting.made.clear()
    await asyncio.gather(*map(reads.document, names[:FEW]))
    assert counting.made == {"get_document": FEW}


async def test_a_token_that_is_revoked_while_another_read_is_under_way_is_seen() -> None:
    store = MemoryStore(new_state())
    tokens = Tokens(store)
    token = await tokens.create_first()
    assert token is not None
    gate = asyncio.Event()

    class Slow(Counting):
        async def get_document(self, kind: str, document_id: str) -> Any:
            found = await store.get_document(kind, document_id)
            await gate.wait()
            return found

    reads = TokenReads(Slow(store))  # type: ignore[arg-type]
    early = asyncio.create_task(reads.document(token.id))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert await tokens.revoke(token.id) is not None
    late = asyncio.create_task(reads.document(token.id))
    await asyncio.sleep(0)
    gate.set()
    before, after = await early, await late
    assert before is not None
    assert after is not None
    assert before.value != {"revoked": True}
    assert after.value == {"revoked": True}
