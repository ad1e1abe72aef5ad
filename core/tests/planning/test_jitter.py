"""Jitter spreads fires and never differs between two leaders."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from dsched.planning import jitter_ms


@given(
    config_id=st.text(min_size=1, max_size=128),
    at_ms=st.integers(-(10**13), 10**14),
    jitter=st.timedeltas(timedelta(0), timedelta(days=3650)),
)
def test_jitter_is_below_its_width_and_always_the_same(config_id, at_ms, jitter):
    width_ms = jitter // timedelta(milliseconds=1)
    delay_ms = jitter_ms(config_id, at_ms, jitter)

    assert 0 <= delay_ms < max(1, width_ms)
    assert delay_ms == jitter_ms(config_id, at_ms, jitter)


def test_jitter_is_where_it_always_was():
    # Pinned: leaders of two versions must agree on it.
    assert jitter_ms("report", 1_750_000_000_000, timedelta(minutes=1)) == 33850


def test_jitter_spreads_configs_and_instants_evenly():
    width = timedelta(milliseconds=100)
    by_config = [jitter_ms(f"config-{n}", 0, width) for n in range(10_000)]
    by_instant = [jitter_ms("config", n * 60_000, width) for n in range(10_000)]
    for delays in (by_config, by_instant):
        tenths = [sum(1 for d in delays if d // 10 == tenth) for tenth in range(10)]
        assert min(tenths) > 850, tenths
        assert max(tenths) < 1_150, tenths


def test_no_jitter_is_no_delay():
    assert jitter_ms("report", 1, timedelta(0)) == 0
    assert jitter_ms("report", 1, timedelta(microseconds=999)) == 0
