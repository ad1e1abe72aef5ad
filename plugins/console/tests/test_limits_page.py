"""What people do with limits and calendars: see what is full, change it, delete it; see days."""

import asyncio
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

WAITS = {"executor": "echo", "payload": {"wait": True}}


async def wait_for(cluster: Any, limit: str, held: int, waiting: int) -> None:
    """Until so many tasks hold and wait under a limit."""
    async with asyncio.timeout(20):
        while True:
            found = (await cluster.ask("GET", f"/limits/{limit}")).body["uses"]
            sums = [sum(one[key] for one in found) for key in ("held", "waiting")]
            if sums == [held, waiting]:
                return
            await asyncio.sleep(0.05)


async def crowded(cluster: Any) -> None:
    """Two instances of ``tenant`` that are full, and three tasks that wait under one of them."""
    await cluster.ask("PUT", "/limits/crm", {"max_running": 5})
    await cluster.ask("PUT", "/limits/tenant", {"max_running": 1})
    for at, tenant in enumerate(("globex", "globex", "globex", "globex", "initech")):
        task = {**WAITS, "id": f"t{at}", "limits": [f"tenant:{tenant}"]}
        assert (await cluster.ask("POST", "/tasks", task)).status == 201
    await wait_for(cluster, "tenant", 2, 3)


async def test_what_is_full_and_who_waits_is_told_and_a_raised_limit_lets_them_go(
    console: Any, cluster: Any
) -> None:
    await crowded(cluster)
    async with console.window() as window:
        page = await window.open()
        await page.keyboard.press("g")
        await page.keyboard.press("l")
        await page.get_by_role("heading", name="Limits and calendars").wait_for()
        await page.get_by_text("3 tasks wait under 1 limit").wait_for()
        row = page.locator("tr[data-row]", has_text="tenant")
        said = await row.inner_text()
        assert re.search(r"globex\s+1 / 1\s+3 wait", said)
        assert "2 over 2 instances" in said
        await page.get_by_role("button", name="tasks wait 1").click()
        assert await page.locator("tr[data-row]").count() == 1
        await page.keyboard.press("j")
        await page.keyboard.press("Enter")
        await page.get_by_role("heading", name="tenant").wait_for()
        await page.locator("tr[data-row]", has_text="tenant:initech").wait_for()
        await page.evaluate("document.activeElement.blur()")
        await page.keyboard.press("e")
        dialog = page.get_by_role("dialog")
        await dialog.get_by_label("Tasks in workers").fill("3")
        await dialog.get_by_label("Why").fill("globex pays for it")
        await dialog.get_by_text("The same as a command").click()
        command = "dsched limit set tenant --max-running 3 --reason 'globex pays for it'"
        assert await dialog.locator(".command").inner_text() == command
        await dialog.get_by_role("button", name="Save").click()
        await dialog.wait_for(state="detached")
        await page.get_by_text("At most 3 tasks at once").wait_for()
        await wait_for(cluster, "tenant", 4, 1)
        act = (await cluster.ask("GET", "/audit")).body["items"][0]
        assert (act["action"], act["reason"]) == ("limit.put", "globex pays for it")
        assert window.complaints == []
    cluster.echo.gate.set()


async def test_a_limit_in_use_is_deleted_only_where_that_is_said(
    console: Any, cluster: Any
) -> None:
    await crowded(cluster)
    async with console.window() as window:
        page = await window.open("limits/tenant")
        await page.get_by_role("button", name="Delete…").click()
        dialog = page.get_by_role("dialog")
        await dialog.get_by_text("2 tasks hold a place and 3 wait").wait_for()
        await dialog.get_by_role("button", name="Delete").click()
        await dialog.get_by_text("Say why, in a few words.").wait_for()
        await dialog.get_by_label("Why").fill("no more tenants")
        await dialog.get_by_role("button", name="Delete").click()
        await dialog.get_by_text(re.compile("^limit tenant is in use")).wait_for()
        assert (await cluster.ask("GET", "/limits/tenant")).status == 200
        await dialog.get_by_label("Although it is in use").check()
        assert "--force" in await dialog.locator(".command").text_content()
        await dialog.get_by_role("button", name="Delete").click()
        await page.get_by_role("heading", name="Limits and calendars").wait_for()
        assert (await cluster.ask("GET", "/limits/tenant")).status == 404
        # The browser itself says that the API answered 409; that is all it says.
        assert [one for one in window.complaints if "409" not in one] == []
    cluster.echo.gate.set()


async def test_a_limit_is_made_by_keyboard_and_what_is_none_is_refused_with_the_reason(
    console: Any, cluster: Any
) -> None:
    async with console.window() as window:
        page = await window.open("limits")
        await page.get_by_text("No limit yet").wait_for()
        await page.keyboard.press("n")
        dialog = page.get_by_role("dialog")
        await dialog.get_by_label("Name").fill("a b")
        await dialog.get_by_label("Tasks in workers").fill("2")
        await page.keyboard.press("Enter")
        await dialog.get_by_text(re.compile("1 to 64 of")).wait_for()
        await dialog.get_by_label("Name").fill("tenant:acme")
        await page.keyboard.press("Enter")
        await dialog.wait_for(state="detached")
        await page.get_by_role("link", name="tenant:acme").wait_for()
        assert (await cluster.ask("GET", "/limits/tenant:acme")).body["max_running"] == 2
        assert [one for one in window.complaints if "422" not in one] == []


async def test_what_the_page_does_not_know_of_a_limit_is_kept_when_it_is_changed(
    console: Any, cluster: Any
) -> None:
    async with console.window() as window:
        sent: list[Any] = []

        async def of_a_newer_pod(route: Any) -> None:
            if route.request.method == "PUT":
                sent.append(route.request.post_data_json)
                await route.fulfill(json={"id": "crm", "max_running": 6, "changed": True})
                return
            found = {"id": "crm", "max_running": 5, "uses": [], "cursor": None}
            await route.fulfill(json={**found, "rate": "100/1m", "burst": 7, "colour": "blue"})

        await window.page.route("**/api/v1/limits/crm*", of_a_newer_pod)
        page = await window.open("limits/crm")
        await page.get_by_text("100/1m").wait_for()
        await page.get_by_role("button", name="Edit…").click()
        dialog = page.get_by_role("dialog")
        await dialog.get_by_label("Tasks in workers").fill("6")
        await dialog.get_by_label("Burst").fill("9")
        await dialog.get_by_role("button", name="Save").click()
        await dialog.wait_for(state="detached")
        assert sent == [{"max_running": 6, "rate": "100/1m", "burst": 9, "colour": "blue"}]


async def test_a_limit_may_be_a_rate_alone(console: Any, cluster: Any) -> None:
    async with console.window() as window:
        page = await window.open("limits")
        await page.get_by_role("button", name="New limit").click()
        dialog = page.get_by_role("dialog")
        await dialog.get_by_label("Name").fill("mail")
        await dialog.get_by_label("Rate").fill("100/1m")
        await dialog.get_by_label("Burst").fill("3")
        await page.keyboard.press("Enter")
        await dialog.wait_for(state="detached")
        await page.get_by_role("link", name="mail").click()
        await page.get_by_text("Any number of tasks at once.").wait_for()
        await page.get_by_text("100/1m").wait_for()
        found = (await cluster.ask("GET", "/limits/mail")).body
        assert (found["max_running"], found["rate"], found["burst"]) == (None, "100/1m", 3)
        assert window.complaints == []


async def test_calendars_tell_their_next_days_who_goes_by_them_and_what_ends(
    console: Any, cluster: Any
) -> None:
    today = datetime.now(UTC).date()
    soon, end = (today + timedelta(days=n) for n in (3, 9))
    holidays = {"name": "shop", "dates": {soon.isoformat(): "Inventory"}, "until": end.isoformat()}
    workdays = {"name": "workdays", "weekdays": ["mon", "tue", "wed", "thu", "fri"]}
    for name, calendar in (
        ("invoices", {"skip": [holidays], "only": [workdays]}),
        ("report", {"skip": [holidays]}),
    ):
        entry = {"executor": "echo", "cron_expr": "0 9 * * *", "calendar": calendar}
        assert (await cluster.ask("PUT", f"/configs/{name}", entry)).status == 201
    async with console.window() as window:
        page = await window.open("limits?tab=calendars")
        shop = page.locator("tr[data-row]", has_text="shop")
        said = await shop.inner_text()
        assert "1 date" in said
        assert "Inventory" in said
        assert "invoices" in said
        assert "report" in said
        assert "Ends" in said or "ends" in said
        work = page.locator("tr[data-row]", has_text="workdays")
        assert "Monday to Friday" in await work.inner_text()
        await shop.get_by_text("Edit…").click()
        await shop.locator("details a", has_text="report").click()
        await page.wait_for_url("**/configs/report/edit")
        # The fires that the editor tells go by the calendar, too.
        await page.locator(".fires10 tbody tr").nth(9).wait_for()
        await page.get_by_text(re.compile("left out")).first.wait_for()
        assert window.complaints == []
