"""Large batches of the steps that take longest go in several scripts."""

import pytest

from dsched.contracts.outcomes import StoreUnavailableError
from dsched_store_redis.base import AT_ONCE, in_parts


async def test_answers_of_all_parts_come_in_the_order_of_the_items():
    parts = []

    async def step(part):
        parts.append(len(part))
        return (2 * item for item in part)

    items = range(2 * AT_ONCE + 1)
    assert await in_parts(items, step) == tuple(2 * item for item in items)
    assert parts == [AT_ONCE, AT_ONCE, 1]


async def test_no_items_are_one_step_all_the_same_since_it_may_be_fenced():
    parts = []

    async def step(part):
        parts.append(list(part))
        return part

    assert await in_parts([], step) == ()
    assert parts == [[]]


@pytest.mark.parametrize(("failing", "maybe_applied"), [(0, False), (1, True)])
async def test_what_fails_after_the_first_part_may_have_been_applied(failing, maybe_applied):
    calls = 0

    async def step(part):
        nonlocal calls
        calls += 1
        if calls == failing + 1:
            raise StoreUnavailableError("refused", maybe_applied=False)
        return part

    with pytest.raises(StoreUnavailableError, match="refused") as raised:
        await in_parts(range(AT_ONCE + 1), step)
    assert raised.value.maybe_applied is maybe_applied
