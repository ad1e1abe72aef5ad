"""The fixed scale of the distributions, and sums over it."""

from itertools import pairwise

from dsched.contracts.store.statistics import BIN_TOPS_MS, Bucket, Rollup, Spread, bin_of, bucket_of


def test_slots_grow_and_are_at_most_a_fifth_wider_than_the_one_before():
    assert BIN_TOPS_MS[0] == 0
    assert all(low < high for low, high in pairwise(BIN_TOPS_MS))
    assert all(high / low < 1.2 for low, high in pairwise(BIN_TOPS_MS) if low >= 64)


def test_a_duration_lies_in_the_slot_whose_top_is_the_first_to_reach_it():
    for ms in (0, 1, 2, 3, 999, 1000, 60_000, 86_400_000):
        slot = bin_of(ms)
        assert BIN_TOPS_MS[slot - 1] < ms <= BIN_TOPS_MS[slot] or ms == slot == 0
    assert bin_of(-5) == 0
    assert bin_of(2**60) == len(BIN_TOPS_MS) - 1


def _rollup(durations, **fields):
    adds = {}
    for ms in durations:
        adds[f"r{bin_of(ms)}"] = adds.get(f"r{bin_of(ms)}", 0) + 1
    tops = {"r": max(durations)} if durations else {}
    return Rollup(config_id="c", hour_ms=0, adds=adds | fields, tops=tops)


def test_quantiles_are_exact_to_a_slot_and_the_longest_is_exact():
    durations = list(range(1, 1001))
    halves = [_rollup(durations[0::2]), _rollup(durations[1::2])]
    spread = bucket_of("c", 0, halves).run
    assert (spread.count, spread.max_ms) == (1000, 1000)
    found_and_exact = (
        (spread.p50_ms, 500),
        (spread.p90_ms, 900),
        (spread.p95_ms, 950),
        (spread.p99_ms, 990),
    )
    for found, exact in found_and_exact:
        assert found is not None
        assert exact <= found <= exact * 1.2


def test_no_quantile_exceeds_the_longest():
    spread = bucket_of("c", 0, [_rollup([1001])]).run
    assert spread == Spread(
        count=1, p50_ms=1001, p90_ms=1001, p95_ms=1001, p99_ms=1001, max_ms=1001
    )


def test_counters_add_up_and_an_empty_bucket_has_no_quantiles():
    bucket = bucket_of("c", 7, [_rollup([], fires=2, failed=1), _rollup([], fires=3, runs=4)])
    assert bucket == Bucket(config_id="c", start_ms=7, fires=5, failed=1, runs=4)
    assert bucket.wait == Spread()


def test_the_rate_of_success_leaves_out_what_was_cancelled():
    ended = {"success": 3, "failed": 1, "cancelled": 4}
    assert bucket_of("c", 0, [_rollup([], **ended)]).success_rate == 0.75
    assert bucket_of("c", 0, [_rollup([], cancelled=4)]).success_rate is None
