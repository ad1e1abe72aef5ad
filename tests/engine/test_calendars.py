"""Calendars in a running cluster: what fires, what is told of the rest, and who may store one."""

import asyncio
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from engine_cluster import config

from dsched.explaining import Answer
from dsched.model import InvalidConfigError, Verdict, from_ms

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000


def a_calendar(*days, until=None):
    named = {"name": "shutdown", "dates": dict.fromkeys(days, "Inventory")}
    return {"skip": [named | ({} if until is None else {"until": until})]}


async def test_nothing_fires_on_a_day_that_is_left_out_and_that_is_told_after_an_edit(cluster):
    hour = cluster.wall() // HOUR_MS % 24
    # A zone in which midnight is an hour or less ahead: the day is left out from then on.
    zone = f"Etc/GMT{hour - 23:+d}" if hour >= 12 else f"Etc/GMT{hour + 1:+d}"
    midnight_ms = (cluster.wall() // HOUR_MS + 1) * HOUR_MS
    out = from_ms(midnight_ms).astimezone(ZoneInfo(zone))
    assert out.hour == 0
    await asyncio.sleep((midnight_ms - 3 * MINUTE_MS - cluster.wall()) / 1000)
    cluster.start("a")
    fields = {"every": MINUTE, "timezone": zone, "calendar": a_calendar(f"{out:%Y-%m-%d}")}
    await cluster.client.put_config(config(start_at=from_ms(midnight_ms - HOUR_MS), **fields))
    await asyncio.sleep((midnight_ms + 3 * MINUTE_MS - cluster.wall()) / 1000)

    found = (await cluster.client.decisions("tick", limit=100)).decisions
    assert found
    assert {one.verdict for one in found} == {Verdict.FIRED}
    assert max(one.first_ms for one in found) == midnight_ms - MINUTE_MS

    then = from_ms(midnight_ms + MINUTE_MS)
    words = "left out by calendar shutdown: Inventory."
    before = await cluster.client.why_config("tick", then)
    assert (before.verdict, before.summary.endswith(words)) == (Answer.NOT_DUE, True)
    await cluster.client.put_config(config(every=HOUR))
    await asyncio.sleep(5)
    after = await cluster.client.why_config("tick", then)
    assert (after.verdict, after.summary) == (Answer.NOT_DUE, before.summary)
    assert after.decision.reason == "calendar"
    await cluster.client.delete_config("tick")
    await asyncio.sleep(5)
    assert (await cluster.client.why_config("tick", then)).summary == before.summary


async def test_an_outage_over_a_day_that_is_left_out_makes_up_for_the_others_only(cluster):
    today_ms = cluster.wall() // DAY_MS * DAY_MS
    days = [f"{from_ms(today_ms + n * DAY_MS):%Y-%m-%d}" for n in (1, 2)]
    fields = {"every": HOUR, "start_at": from_ms(today_ms), "calendar": a_calendar(*days)}
    await cluster.client.put_config(config(**fields))
    await asyncio.sleep((today_ms + 3 * DAY_MS + HOUR_MS // 2 - cluster.wall()) / 1000)
    cluster.start("a")
    await asyncio.sleep(60)
    found = (await cluster.client.decisions("tick", limit=100)).decisions
    skipped = [one for one in found if one.verdict is Verdict.SKIPPED]
    fired = [one.first_ms for one in found if one.verdict is Verdict.FIRED]
    assert fired == [today_ms + 3 * DAY_MS]
    assert sum(one.count for one in skipped) <= 24
    told = await cluster.client.why_config("tick", from_ms(today_ms + DAY_MS + HOUR_MS))
    assert "left out by calendar shutdown: Inventory" in told.summary


async def test_a_store_of_an_older_format_refuses_a_calendar_and_takes_it_once_migrated(cluster):
    cluster.state.format = 3
    with pytest.raises(
        InvalidConfigError, match=r"needs a store of format 4.*dsched store migrate"
    ):
        await cluster.client.put_config(config(every=HOUR, calendar=a_calendar("2030-01-01")))
    outcomes = await cluster.client.put_configs(
        [config("with", every=HOUR, calendar=a_calendar("2030-01-01")), config("without")]
    )
    assert [one.outcome for one in outcomes] == ["refused", "created"]
    await cluster.client.migrate_store()
    stored = await cluster.client.put_config(config(every=HOUR, calendar=a_calendar("2030-01-01")))
    assert stored.config.calendar is not None
