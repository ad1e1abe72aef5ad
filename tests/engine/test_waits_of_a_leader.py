"""How a leader waits for its next poll, as a table."""

import math

import pytest

from dsched.engine.leader.scheduling import NextPoll, Waiting, way_to_wait

NEVER = math.inf

TABLE = (
    # In seconds from now: the next scan, the next instant that is known.
    (5.0, NEVER, Waiting.STORE_POLLS),
    (5.0, 60.0, Waiting.STORE_POLLS),
    (5.0, 1.0, Waiting.STORE_POLLS),  # until half a second before the instant
    (0.5, NEVER, Waiting.STORE_POLLS),
    (5.0, 0.99, Waiting.WAKEUP),
    (0.49, NEVER, Waiting.WAKEUP),
    (5.0, 0.004, Waiting.WAKEUP),
    (5.0, 0.003, Waiting.SLEEP),
    (5.0, 0.0001, Waiting.SLEEP),
    (5.0, 0.0, Waiting.NONE),
    (5.0, -3.0, Waiting.NONE),
    (0.0, NEVER, Waiting.NONE),
    (-1.0, 60.0, Waiting.NONE),
)


@pytest.mark.parametrize(("scan_s", "due_s", "expected"), TABLE)
def test_the_way_to_wait_is_the_one_of_the_table(scan_s, due_s, expected):
    assert way_to_wait(NextPoll(scan_s, due_s), 0.0) is expected


@pytest.mark.parametrize(("scan_s", "due_s", "_way"), TABLE)
def test_an_inexact_wait_ends_before_what_is_due_by_more_than_its_slack(scan_s, due_s, _way):
    following = NextPoll(scan_s, due_s)
    assert following.inexact_until_s <= following.due_s - 0.5
    assert following.inexact_until_s <= following.at_s <= following.due_s
