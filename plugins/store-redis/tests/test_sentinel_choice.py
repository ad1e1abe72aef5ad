"""Which answer counts if the sentinels differ: the newest failover that any of them knows."""

import pytest

from dsched_store_redis.sentinels import Named, choose

OLD, NEW, OTHER = ("old", 1), ("new", 1), ("other", 1)


def _named(address: tuple[str, int], epoch: int) -> Named:
    return Named(address, epoch, 0.0)


def test_the_highest_epoch_is_believed_of_a_single_sentinel() -> None:
    answers = [_named(OLD, 3), _named(NEW, 4), _named(OLD, 3)]
    assert choose(answers, _named(OLD, 3), of=3) == _named(NEW, 4)


def test_an_older_epoch_than_one_heard_before_is_not_believed_of_a_few() -> None:
    """The one that knew may be down, and the other cut off together with the old primary."""
    current = _named(NEW, 4)
    assert choose([_named(OLD, 3)], current, of=3) is None
    assert choose([_named(OLD, 3)], current, of=2) is None


def test_an_older_epoch_is_believed_of_most_as_after_they_were_set_up_anew() -> None:
    current = _named(OLD, 9)
    assert choose([_named(NEW, 0), _named(NEW, 0)], current, of=3) == _named(NEW, 0)
    assert choose([_named(NEW, 0)], current, of=1) == _named(NEW, 0)


def test_without_epochs_those_that_agree_are_believed() -> None:
    answers = [_named(OLD, 0), _named(NEW, 0), _named(NEW, 0)]
    assert choose(answers, _named(OLD, 0), of=3) == _named(NEW, 0)


@pytest.mark.parametrize("order", [1, -1])
def test_where_nothing_decides_what_is_known_stays(order: int) -> None:
    answers = [_named(OLD, 0), _named(NEW, 0)][::order]
    assert choose(answers, _named(OLD, 0), of=2) == _named(OLD, 0)


def test_nothing_heard_changes_nothing() -> None:
    assert choose([], _named(OLD, 1), of=3) is None
