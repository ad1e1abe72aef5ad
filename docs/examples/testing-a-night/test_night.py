"""A night in which the clocks change and the store is away for 20 minutes, in under a second."""

from datetime import timedelta

import reports  # noqa: F401 - registers the functions


def test_the_night_of_the_change_loses_nothing(dsched_cluster):
    cluster = dsched_cluster("tasks.yaml", start="2027-03-27T22:00:00+01:00", pods=2)

    cluster.advance("3h55m")  # until 01:55 in Berlin; at 02:00 the clocks jump to 03:00
    cluster.kill_leader()
    cluster.outage("20m")
    cluster.advance("6h")

    # 02:30 does not exist in this night, so the report is due at the first instant after the gap.
    # Nobody reached the store then: it was made late, and once.
    cluster.assert_fired("nightly", "2027-03-28T03:00:00+02:00")
    cluster.assert_succeeded("nightly")
    (report,) = cluster.tasks("nightly")
    assert report.start_time > report.scheduled_time + timedelta(minutes=14)

    # The poll of 01:15 UTC, just as the store came back, is there as all others are. Each failed
    # once, and was tried again.
    assert len(cluster.fires("poll")) == 10
    cluster.assert_succeeded("poll")
    assert {task.retry_count for task in cluster.tasks("poll")} == {1}

    # What would call a web service was handed to a stand-in.
    assert [task.config_id for task in cluster.calls("http")] == ["ship"]


async def test_the_same_cluster_in_an_async_test(dsched_cluster):
    cluster = dsched_cluster("tasks.yaml", start="2027-03-28T00:00:00+00:00")
    await cluster.advance("30m")
    cluster.pause_worker("40s")
    task_id = cluster.trigger("nightly")
    await cluster.advance("2m")
    assert cluster.task(task_id).result.data == f"report of {task_id}"
