"""How a pod collects garbage: seldom, and nothing of what it has loaded."""

import gc

import pytest

from dsched.launcher.run import COLLECT_WHILE_LOADING, COLLECT_WHILE_RUNNING, keep_what_is_loaded


@pytest.fixture(autouse=True)
def _as_before():
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)
    gc.unfreeze()


def test_a_pod_that_is_ready_collects_oftener_but_not_what_it_has_loaded():
    gc.set_threshold(COLLECT_WHILE_LOADING)
    keep_what_is_loaded()
    assert gc.get_threshold() == COLLECT_WHILE_RUNNING
    assert gc.get_freeze_count() > 0


def test_what_the_application_has_set_stays():
    gc.set_threshold(123, 4, 5)
    keep_what_is_loaded()
    assert gc.get_threshold() == (123, 4, 5)
