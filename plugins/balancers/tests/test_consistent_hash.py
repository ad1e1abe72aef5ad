"""Where keys go: together, within the bound, and no further than they must."""

from collections import Counter
from math import ceil

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsched.contracts import ReadyTask
from dsched.model import Worker
from dsched_balancers.consistent_hash import ConsistentHash, ConsistentHashOptions

KEYS = [f"config-{index}" for index in range(400)]


def worker(name: str, *, capacity: int = 10, load: int = 0) -> Worker:
    running = min(load, capacity)
    return Worker(
        id=name,
        incarnation="1",
        capacity=capacity,
        backlog=capacity,
        running=running,
        queued=load - running,
    )


def choose(fleet: list[Worker], name: str, *, key: str | None = None, factor: float = 1.25) -> str:
    ready = ReadyTask(id=name, priority=5, scheduled_ms=0, affinity_key=key)
    choice = ConsistentHash(load_factor=factor).choose(ready, fleet, 0)
    assert choice is not None
    return choice.id


names = st.from_regex(r"[a-z]{1,3}-[0-9a-f]{4}", fullmatch=True)


@st.composite
def idle_fleets(draw: st.DrawFn, min_size: int = 1) -> list[Worker]:
    chosen = sorted(draw(st.sets(names, min_size=min_size, max_size=8)))
    return [worker(name, capacity=draw(st.integers(1, 12))) for name in chosen]


@st.composite
def loaded_fleets(draw: st.DrawFn) -> list[Worker]:
    return [
        worker(each.id, capacity=each.capacity, load=draw(st.integers(0, 2 * each.capacity - 1)))
        for each in draw(idle_fleets())
    ]


# --- keys ---------------------------------------------------------------------------------------


@given(fleet=loaded_fleets(), first=st.integers(0, 2**41), second=st.integers(0, 2**41))
def test_all_tasks_of_a_config_have_one_key(fleet: list[Worker], first: int, second: int) -> None:
    home = choose(fleet, f"report@{first}")
    assert home == choose(fleet, f"report@{second}")
    assert home == choose(fleet, "report@manual-7f")
    assert home == choose(fleet, "other@1", key="report")


@given(fleet=loaded_fleets(), key=st.text(min_size=1, max_size=8))
def test_tasks_of_several_configs_with_one_affinity_key_go_together(
    fleet: list[Worker], key: str
) -> None:
    assert choose(fleet, "a@1", key=key) == choose(fleet, "b@2", key=key)


def test_an_ad_hoc_task_is_its_own_key_and_an_empty_affinity_key_is_none() -> None:
    fleet = [worker(f"w{index}") for index in range(5)]
    assert len({choose(fleet, f"adhoc-{index}") for index in range(100)}) == 5
    assert all(choose(fleet, name, key="") == choose(fleet, name) for name in KEYS)


def test_a_key_may_be_any_text_even_what_utf_8_cannot_hold() -> None:
    assert choose([worker("w")], "a@1", key="\ud800") == "w"


# --- the bound ----------------------------------------------------------------------------------


@given(fleet=loaded_fleets(), name=names, factor=st.floats(1.0, 4.0))
def test_the_bound_on_a_worker_is_never_exceeded(
    fleet: list[Worker], name: str, factor: float
) -> None:
    # Computed anew, as the docstring gives it: some worker is always below its bound.
    total = sum(each.capacity for each in fleet)
    tasks = 1 + sum(each.load for each in fleet)
    bounds = {
        each.id: max(each.capacity, ceil(factor * tasks * each.capacity / total)) for each in fleet
    }
    loads = {each.id: each.load for each in fleet}
    chosen = choose(fleet, name, factor=factor)
    assert loads[chosen] + 1 <= bounds[chosen]


def test_equal_keys_stay_together_while_their_worker_has_a_free_slot() -> None:
    fleet = [worker(f"w{index}", capacity=10) for index in range(5)]
    by_id = {each.id: each for each in fleet}
    chosen = []
    for index in range(10):
        home = choose(list(by_id.values()), f"hot@{index}")
        chosen.append(home)
        by_id[home] = attrs.evolve(by_id[home], running=by_id[home].running + 1)
    assert len(set(chosen)) == 1
    assert choose(list(by_id.values()), "hot@10") != chosen[0]  # rather than queue, it parts


def test_one_hot_key_loads_no_worker_far_above_its_share() -> None:
    by_id = {f"w{index}": worker(f"w{index}", capacity=10) for index in range(5)}
    for index in range(60):  # more than the 50 slots there are, all of one key
        home = choose(list(by_id.values()), f"hot@{index}")
        by_id[home] = worker(home, capacity=10, load=by_id[home].load + 1)
    assert max(each.load for each in by_id.values()) <= ceil(1.25 * 60 / 5)


def test_a_smaller_load_factor_parts_a_hot_key_earlier() -> None:
    hot = choose([worker("a"), worker("b")], "hot")
    fleet = [worker(name, load=12 if name == hot else 10) for name in ("a", "b")]
    assert choose(fleet, "hot", factor=1.25) == hot
    assert choose(fleet, "hot", factor=1.0) != hot


@pytest.mark.parametrize("factor", [0.99, -1.0, 101.0, float("nan"), float("inf")])
def test_a_load_factor_out_of_range_is_refused(factor: float) -> None:
    with pytest.raises(ValueError, match=r"load_factor is .* from 1\.0"):
        ConsistentHashOptions(load_factor=factor)


# --- movement -----------------------------------------------------------------------------------


@given(fleet=idle_fleets(min_size=2), index=st.integers(0, 7))
def test_a_worker_that_leaves_moves_only_its_own_keys(fleet: list[Worker], index: int) -> None:
    gone = fleet[index % len(fleet)]
    left = [each for each in fleet if each is not gone]
    for name in KEYS[:60]:
        before = choose(fleet, name)
        if before != gone.id:
            assert before == choose(left, name)


@given(fleet=idle_fleets(), capacity=st.integers(1, 12))
def test_a_worker_that_joins_takes_keys_and_moves_no_others(
    fleet: list[Worker], capacity: int
) -> None:
    grown = sorted([*fleet, worker("new", capacity=capacity)], key=lambda each: each.id)
    for name in KEYS[:60]:
        after = choose(grown, name)
        assert after in (choose(fleet, name), "new")


@given(fleet=idle_fleets(min_size=2), index=st.integers(0, 7))
def test_a_worker_that_grows_takes_keys_and_moves_no_others(
    fleet: list[Worker], index: int
) -> None:
    chosen = fleet[index % len(fleet)]
    grown = [
        attrs.evolve(each, capacity=each.capacity + 5) if each is chosen else each for each in fleet
    ]
    for name in KEYS[:60]:
        assert choose(grown, name) in (choose(fleet, name), chosen.id)


def test_the_share_that_a_join_moves_is_about_the_newcomers_part() -> None:
    fleet = [worker(f"w{index}") for index in range(4)]
    moved = sum(choose(fleet, name) != choose([*fleet, worker("w9")], name) for name in KEYS)
    assert 400 / 5 * 0.6 < moved < 400 / 5 * 1.4


def test_keys_spread_in_proportion_to_capacity() -> None:
    fleet = [worker("a", capacity=5), worker("b", capacity=5), worker("c", capacity=30)]
    counts = Counter(choose(fleet, f"key-{index}") for index in range(4000))
    assert 0.7 < counts["c"] / 4000 < 0.8
    assert 0.8 < counts["a"] / counts["b"] < 1.25


def test_where_a_key_goes_is_the_same_in_every_process_and_release() -> None:
    # Changing the hash would move every key of every user on an upgrade.
    fleet = [worker(f"w{index}") for index in range(5)]
    assert "".join(choose(fleet, f"key-{index}")[1] for index in range(12)) == "030403301313"


def test_workers_without_any_capacity_are_given_nothing() -> None:
    ready = ReadyTask(id="a@1", priority=5, scheduled_ms=0)
    fleet = [attrs.evolve(worker("a"), capacity=0)]
    assert ConsistentHash().choose(ready, fleet, 0) is None
