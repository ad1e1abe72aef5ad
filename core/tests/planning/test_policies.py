"""An overlap policy lets every run of `fire_all` run, or the two are refused together."""

from datetime import UTC, datetime, timedelta

import pytest

from dsched.model import InvalidConfigError, Misfire, Overlap, TaskConfig
from dsched.planning import check_policies, policies

EVERY = {"every": timedelta(minutes=1)}


def _check(overlap: Overlap, **fields: object) -> None:
    policies = {"misfire": Misfire.FIRE_ALL, **EVERY, **fields}
    check_policies(TaskConfig(id="c", executor="local", overlap=overlap, **policies))


@pytest.mark.parametrize("overlap", [Overlap.QUEUE_ALL, Overlap.ALLOW])
def test_fire_all_goes_with_what_runs_all(overlap):
    _check(overlap)


@pytest.mark.parametrize("overlap", [Overlap.SKIP, Overlap.QUEUE_ONE, Overlap.CANCEL_PREVIOUS])
def test_fire_all_is_refused_with_what_would_drop_some(overlap):
    with pytest.raises(InvalidConfigError) as refused:
        _check(overlap)
    assert refused.value.field == "misfire"
    for word in (f"overlap: {overlap}", "queue_all", "allow", "fire_once"):
        assert word in refused.value.reason
    _check(overlap, misfire=Misfire.FIRE_ONCE)


def test_a_trigger_that_owes_one_instant_at_most_goes_with_any_overlap():
    once = {"every": None, "at": datetime(2026, 1, 1, tzinfo=UTC)}
    _check(Overlap.SKIP, **once)
    _check(Overlap.SKIP, every=None, fixed_delay=timedelta(minutes=1))


def test_every_overlap_policy_is_judged():
    assert {*policies._TAKE_ALL, *policies._WHAT_BECOMES} == set(Overlap)
