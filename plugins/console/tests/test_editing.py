"""What people do with the editor and the calendar: write a config, be told what it means, save
it."""

import asyncio
import re
from datetime import UTC, datetime
from typing import Any

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

HOURLY = {"executor": "echo", "every": "1h", "payload": {"n": 2**60}}


async def test_a_config_is_written_explained_and_saved(console: Any, cluster: Any) -> None:
    async with console.window() as window:
        page = await window.open("configs")
        await page.get_by_role("link", name=re.compile("New config")).click()
        await page.get_by_role("heading", name="New config").wait_for()
        await page.get_by_label("Name").fill("archive.monthly")
        await page.get_by_label("Executor").select_option("echo")
        await page.get_by_label("Payload").fill('{"keep": 1152921504606846976}')
        await page.get_by_label("Expression").fill("0 0,2 28 * *")
        await page.get_by_role("combobox", name="Time zone").fill("Europe/Berlin")
        await page.get_by_text("At 00:00, 02:00 on day 28 of the month, Europe/Berlin.").wait_for()
        rows = page.locator(".fires10 tbody tr")
        await rows.nth(9).wait_for()
        # 02:00 does not exist on 28 March 2027: the clock goes from 02:00 to 03:00.
        if datetime.now(UTC) < datetime(2027, 1, 1, tzinfo=UTC):
            await page.get_by_text(re.compile("does not exist")).first.wait_for()
        await page.get_by_label("Overlap").select_option("queue_one")
        await page.get_by_text("one fire waits for the end of the one before").wait_for()
        await page.keyboard.press("Control+Enter")
        await page.get_by_role("heading", name="archive.monthly").wait_for()
        stored = (await cluster.ask("GET", "/configs/archive.monthly")).body
        assert stored["spec"]["cron_expr"] == "0 0,2 28 * *"
        assert stored["spec"]["payload"] == {"keep": 2**60}
        assert stored["spec"]["overlap"] == "queue_one"
        assert window.complaints == []


async def test_what_cannot_be_meant_is_said_at_its_field_and_nothing_is_saved(
    console: Any, cluster: Any
) -> None:
    await cluster.ask("PUT", "/configs/report", HOURLY)
    async with console.window() as window:
        page = await window.open("configs/report/edit")
        await page.get_by_label("Every").wait_for()
        await page.get_by_role("button", name="Cron").click()
        await page.get_by_label("Expression").fill("61 * * * *")
        error = page.locator("#e-cron_expr")
        await error.wait_for()
        assert "61" in await error.inner_text()
        assert await page.get_by_label("Expression").get_attribute("aria-invalid") == "true"
        await page.get_by_role("button", name=re.compile("^Save")).click()
        await page.get_by_role("alert").first.wait_for()
        stored = (await cluster.ask("GET", "/configs/report")).body
        assert stored["spec"].get("every") == "1h"
        await page.get_by_label("Payload").fill("{not json")
        await page.get_by_text(re.compile("This is not JSON")).wait_for()
        assert await page.get_by_role("button", name=re.compile("^Save")).is_disabled()


async def test_of_two_tabs_the_second_is_told_and_overwrites_nothing(
    console: Any, cluster: Any
) -> None:
    await cluster.ask("PUT", "/configs/report", HOURLY)
    async with console.window() as first, console.window() as second:
        one, two = await first.open("configs/report/edit"), await second.open("configs/report/edit")
        for page, period in ((one, "2h"), (two, "3h")):
            await page.get_by_label("Every").fill(period)
        await one.get_by_role("button", name=re.compile("^Save")).click()
        await one.get_by_text("Active, on time").wait_for()
        await two.get_by_role("button", name=re.compile("^Save")).click()
        await two.get_by_text(re.compile("Somebody else has changed this config")).wait_for()
        stored = (await cluster.ask("GET", "/configs/report")).body
        assert stored["spec"]["every"] == "2h"
        assert await two.get_by_label("Every").input_value() == "3h"


async def test_saving_is_counted_in_fires_and_offered_as_text(console: Any, cluster: Any) -> None:
    daily = {"executor": "echo", "cron_expr": "30 3 * * *", "payload": None}
    await cluster.ask("PUT", "/configs/daily", daily)
    async with console.window() as window:
        page = await window.open("configs/daily/edit")
        await page.get_by_label("Expression").fill("30 3,15 * * *")
        await page.get_by_text("30 fires become 60, 30 at the same instant").wait_for()
        await page.get_by_role("button", name="JSON").click()
        text = await page.get_by_label("JSON").input_value()
        assert '"cron_expr": "30 3,15 * * *"' in text
        await page.get_by_label("JSON").fill(text.replace("3,15", "3,16"))
        await page.get_by_text("At 03:30, 16:30 every day").wait_for()
        assert await page.get_by_text("YAML").count() == 1


async def test_h_is_offered_where_others_fire_at_the_same_minute(
    console: Any, cluster: Any
) -> None:
    for n in range(8):
        entry = {"executor": "echo", "cron_expr": "0 4 * * *"}
        await cluster.ask("PUT", f"/configs/night-{n}", entry)
    async with console.window() as window:
        page = await window.open("configs/night-0/edit")
        await page.get_by_text("7 others fire at 04:00: use H").wait_for(timeout=30_000)
        await page.get_by_role("button", name="Use H").click()
        assert await page.get_by_label("Expression").input_value() == "H 4 * * *"
        await page.get_by_text(re.compile("30 fires become 30, 0 at")).wait_for()


async def test_what_others_declare_is_not_changed_here(console: Any, cluster: Any) -> None:
    await cluster.ask("PUT", "/configs/report?origin=file:tasks", HOURLY)
    async with console.window() as window:
        page = await window.open("configs/report/edit")
        await page.get_by_text(re.compile("file:tasks declares this config")).wait_for()
        await page.get_by_label("Every").fill("9h")
        await page.get_by_role("button", name=re.compile("^Save")).click()
        await page.get_by_role("alert").first.wait_for()
        stored = (await cluster.ask("GET", "/configs/report")).body
        assert stored["spec"]["every"] == "1h"


async def test_a_minute_of_the_calendar_tells_who_fires_in_it(console: Any, cluster: Any) -> None:
    for n in range(12):
        entry = {"executor": "echo", "cron_expr": "0 22 * * *"}
        await cluster.ask("PUT", f"/configs/night-{n:02}", entry)
    async with console.window(timezone_id="UTC") as window:
        page = await window.open("calendar?day=2031-05-01")
        await page.get_by_role("heading", name=re.compile("1 May 2031")).wait_for()
        await page.locator("li.calrow").nth(11).wait_for()
        chart = page.locator(".loadchart").first
        box = await chart.bounding_box()
        await page.mouse.click(box["x"] + box["width"] * 22.01 / 24, box["y"] + 40)
        await page.get_by_text(re.compile("12 configs fire in this minute")).wait_for()
        await page.get_by_text("List 12").click()
        assert await page.locator(".crowd tbody tr").count() == 12
        await page.get_by_role("button", name="show as table").click()
        await page.get_by_text("due 1").first.wait_for()
        assert window.complaints == []


@pytest.mark.parametrize(
    ("day", "cells", "said"),
    [("2031-03-30", 276, "UTC+2 at its end"), ("2031-10-26", 300, "UTC+1 at its end")],
)
async def test_a_day_on_which_clocks_change_has_its_own_length_and_says_so(
    console: Any, cluster: Any, day: str, cells: int, said: str
) -> None:
    await cluster.ask("PUT", "/configs/report", HOURLY)
    async with console.window(timezone_id="Europe/Berlin") as window:
        page = await window.open(f"calendar?day={day}")
        await page.get_by_text(re.compile(re.escape(said))).wait_for()
        await page.locator("li.calrow svg").wait_for()
        box = await page.locator("li.calrow svg").get_attribute("viewBox")
        assert box == f"0 0 {cells} 18"
        due = await page.locator("li.calrow .calplot").get_attribute("aria-label")
        assert due == f"report: due {cells // 12}"


async def test_problems_are_told_in_groups(console: Any, cluster: Any) -> None:
    bad = {**HOURLY, "payload": {"fail": "no rows in 61 s"}, "retry": {"max_retries": 0}}
    await cluster.ask("PUT", "/configs/etl", bad)
    async with console.window() as window:
        page = await window.open("problems")
        await page.get_by_text("Nothing needs you.").first.wait_for()
        for _ in range(3):
            made = await cluster.ask("POST", "/configs/etl/trigger")
            await cluster.ask("GET", f"/tasks/{made.body['id']}/wait?timeout=20s")

        rows = page.locator("section[aria-labelledby=groups-title] tbody tr")
        async with asyncio.timeout(30):
            while not (await rows.count() == 1 and "3" in await rows.first.inner_text()):
                await page.reload()
                await window.settled()
        await page.get_by_role("link", name="Logs").last.click()
        await page.get_by_text("no rows in 61 s").first.wait_for()
