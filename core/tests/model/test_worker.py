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


def test_what_is_for_one_worker_goes_by_its_id_whatever_labels_others_have():
    labels = {"zone": "eu", "dsched.worker": "a"}
    worker = Worker(id="b", incarnation="0001-a", capacity=1, backlog=1, labels=labels)
    assert worker.matches({"zone": "eu", "dsched.worker": "b"})
    assert not worker.matches({"dsched.worker": "a"})
    assert not worker.matches({"zone": "us", "dsched.worker": "b"})
