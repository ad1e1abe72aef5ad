"""A worker as the leader sees it."""

import attrs

from dsched.model import Worker


def test_one_more_changes_the_queue_and_nothing_else():
    worker = Worker(
        id="w",
        incarnation="0001-a",
        capacity=3,
        backlog=2,
        heartbeat_timeout_ms=7,
        labels={"disk": "fast"},
        address="10.0.0.1",
        draining=True,
        last_heartbeat_ms=8,
        running=1,
        queued=4,
        stalled=True,
        gone=True,
        silent=True,
        lowest_queued=2,
        ability="0123456789abcdef",
    )
    usual = Worker(id="", incarnation="", capacity=0, backlog=0)
    for field in attrs.fields(Worker):  # else one that is left out would not be noticed
        assert getattr(worker, field.name) != getattr(usual, field.name)
    assert worker.with_one_more() == attrs.evolve(worker, queued=5)
