"""The lists of tasks and workers: filters as chips, the choice of columns, lanes of what ran."""

import re
from typing import Any

import pytest
from playwright.async_api import expect

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

HOURLY = {"executor": "echo", "every": "1h", "payload": {"n": 1}}


async def test_tasks_are_filtered_by_chips_that_the_address_keeps(
    console: Any, cluster: Any
) -> None:
    for name in ("etl.one", "etl.two", "other"):
        await cluster.ask("PUT", f"/configs/{name}", {**HOURLY, "owner": name[:3]})
        made = await cluster.ask("POST", f"/configs/{name}/trigger")
        await cluster.ask("GET", f"/tasks/{made.body['id']}/wait?timeout=20s")
    async with console.window() as window:
        page = await window.open("tasks?state=success")
        rows = page.locator("tr[data-row]")
        field = page.get_by_label("Add a filter")
        await rows.nth(2).wait_for()
        for text in ("config:etl.*", "since:1h"):
            await field.fill(text)
            await field.press("Enter")
        await expect(rows).to_have_count(2)
        assert "config=etl.*" in page.url
        assert "since=1h" in page.url
        await page.reload()
        await expect(rows).to_have_count(2)
        await field.fill("owner:oth")
        await field.press("Enter")
        await page.get_by_text("Nothing matches.").wait_for()
        await page.get_by_role("button", name="Take away the filter config:etl.*").click()
        await expect(rows).to_have_count(1)
        await page.get_by_role("link", name="other").wait_for()
        for wrong, told in (
            ("worker:w-1", "The filters are"),
            ("label:team", "KEY=VALUE"),
            ("since:yesterday", "Write how long ago"),
            ("owner:", "Write a value"),
        ):
            await field.fill(wrong)
            await field.press("Enter")
            await page.get_by_role("alert").get_by_text(told).wait_for()
        assert await window.axe() == []
        assert window.complaints == []


async def test_columns_of_tasks_are_left_out_as_the_reader_likes(
    console: Any, cluster: Any
) -> None:
    made = await cluster.ask("POST", "/tasks", {"executor": "echo", "payload": {}})
    await cluster.ask("GET", f"/tasks/{made.body['id']}/wait?timeout=20s")
    async with console.window() as window:
        page = await window.open("tasks?state=success")
        worker = page.get_by_role("columnheader", name="Worker")
        await worker.wait_for()
        chooser = page.get_by_text("Columns", exact=True).first
        await chooser.focus()
        await page.keyboard.press("Enter")
        assert await window.axe() == []
        await page.locator(".columnchooser").get_by_role("button", name="Worker").click()
        await expect(worker).to_have_count(0)
        await page.reload()
        await page.locator("tr[data-row]").first.wait_for()
        await expect(worker).to_have_count(0)
        await expect(page.get_by_role("columnheader", name="Took")).to_have_count(1)


async def test_a_lane_has_what_its_worker_ran_and_runs_as_it_happens(
    console: Any, cluster: Any
) -> None:
    for payload in ({"n": 1}, {"fail": "no"}):
        entry = {"executor": "echo", "payload": payload, "retry": {"max_retries": 0}}
        made = await cluster.ask("POST", "/tasks", entry)
        await cluster.ask("GET", f"/tasks/{made.body['id']}/wait?timeout=20s")
    async with console.window() as window:
        page = await window.open("workers")
        lane = page.locator(".lane")
        await expect(lane.locator("rect.f-success")).to_have_count(1)
        await expect(lane.locator("rect.f-failed")).to_have_count(1)
        await expect(lane).to_have_attribute("aria-label", re.compile("2 tasks, 1 failed"))
        await page.get_by_text("live", exact=True).wait_for()
        entry = {"executor": "echo", "payload": {"wait": True}, "id": "lasts"}
        assert (await cluster.ask("POST", "/tasks", entry)).status == 201
        await expect(lane.locator("rect.f-running")).to_have_count(1, timeout=20_000)
        await page.locator(".lanenames").get_by_role("link", name="lasts").wait_for()
        cluster.echo.gate.set()
        await expect(lane.locator("rect.f-running")).to_have_count(0, timeout=20_000)
        await expect(lane.locator("rect.f-success")).to_have_count(2)
        await page.get_by_role("button", name="show as table").click()
        await page.get_by_role("link", name="lasts").wait_for()
        await page.get_by_role("button", name="last 1 h").click()
        await expect(lane.locator("rect")).to_have_count(3)
        assert "span=1h" in page.url
        assert await window.axe() == []
        assert window.complaints == []
