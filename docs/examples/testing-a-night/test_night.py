"""A night in which the clocks change and the store is away for 20 minutes, in under a second."""

import reports  # noqa: F401 - registers the functions


def test_the_night_of_the_change_loses_nothing(dsched_cluster):
    cluster = dsched_cluster("tasks.yaml", start="2027-03-27T22:00:00+01:00", pods=2)

    cluster.advance("4h")  # until 02:00; at that moment the clocks jump to 03:00
    assert cluster.now.isoformat() == "2027-03-28T01:00:00+00:00"
    cluster.kill_leader()
    cluster.outage("20m")
    cluster.advance("6h")

    # 02:30 does not exist in this night: the report is made at the first instant after the gap,
    # although nobody reached the store then. Twenty minutes are within no grace of a minute, so
    # it is the one run that a missed instant gets.
    cluster.assert_fired("nightly", "2027-03-28T03:00:00+02:00")
    cluster.assert_succeeded("nightly")

    # The poll at 01:15 UTC fell into the outage; it ran as soon as the store was back.
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
