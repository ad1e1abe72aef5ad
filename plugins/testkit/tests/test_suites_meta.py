"""The suite itself: complete, and no test hides another."""

import asyncio
import functools
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import attrs

from dsched.contracts.store import Store
from dsched.contracts.store.events import EventKind
from dsched.contracts.store.outcomes import Outcome, RunOutcome
from dsched.contracts.store.settings import StoreSettings
from dsched_testkit.memory import MemoryStore, new_state
from dsched_testkit.suites.store import StoreContract, WallClock

STEPS = sorted(Store.__abstractmethods__)


def test_no_group_hides_a_test_or_an_act_of_another():
    names = Counter(
        name
        for group in StoreContract.__mro__
        if group.__module__.startswith("dsched_testkit.suites.store.")
        and not group.__module__.endswith((".harness", ".arrange"))
        for name in vars(group)
        if name.startswith(("test_", "_")) and not name.startswith("__")
    )
    assert [name for name, count in names.items() if count > 1] == []


def test_the_contract_itself_is_not_collected():
    assert not StoreContract.__name__.startswith("Test")


def words_of(answer: object) -> set[str]:
    """Every outcome in an answer."""
    if isinstance(answer, Outcome | RunOutcome):
        return {repr(answer)}
    if isinstance(answer, tuple):
        return set().union(*map(words_of, answer))
    if attrs.has(type(answer)):
        fields = [getattr(answer, field.name) for field in attrs.fields(type(answer))]
        return set().union(*map(words_of, fields))
    return set()


class Recording:
    """A store that notes which steps were taken, which outcomes and which kinds of entry given."""

    def __init__(self, store, seen):
        self._store, self._seen = store, seen

    def __getattr__(self, name):
        step = getattr(self._store, name)

        @functools.wraps(step)
        async def recorded(*args, **kwargs):
            answer = await step(*args, **kwargs)
            self._seen |= {name} | words_of(answer)
            if name == "events":
                self._seen |= {repr(event.kind) for event in answer.events}
            return answer

        return recorded


def test_the_named_tests_take_every_step_and_see_every_outcome_and_kind_of_entry():
    seen: set[str] = set()

    class Suite(StoreContract):
        @asynccontextmanager
        async def open_store(
            self, clock: WallClock, settings: StoreSettings
        ) -> AsyncIterator[Store]:
            state = clock.shared.setdefault("state", new_state(clock, settings))
            yield Recording(MemoryStore(state), seen)

    for name in dir(Suite):
        if name.startswith("test_") and "thread" not in name:
            asyncio.run(getattr(Suite(), name)())
    expected = {*STEPS, *map(repr, Outcome), *map(repr, RunOutcome), *map(repr, EventKind)}
    assert sorted(expected - seen) == []
