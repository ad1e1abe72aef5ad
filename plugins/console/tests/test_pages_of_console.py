"""Every page in both themes and both languages: no complaint of the browser, none of axe."""

from typing import Any

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

MARKUP = "<script>alert(1)</script><img src=x onerror=alert(2)>"
BIG = 2**60


async def filled(cluster: Any) -> dict[str, str]:
    """Configs and tasks of all kinds, with texts of users that want to be more than that."""
    entry = {"executor": "echo", "every": "1h", "owner": MARKUP, "labels": {"team": "data"}}
    good = {**entry, "payload": {"log": [MARKUP, "second line"], "big": BIG, "text": MARKUP}}
    bad = {**entry, "payload": {"fail": MARKUP}, "retry": {"max_retries": 0}}
    await cluster.ask("PUT", "/configs/good.one", good)
    await cluster.ask("PUT", "/configs/bad.one", bad)
    await cluster.ask("PUT", f"/configs/{'long-' * 20}name", entry)
    await cluster.ask("PUT", "/configs/waits", {**entry, "payload": {"wait": True}})
    await cluster.ask(
        "PUT",
        "/configs/berlin",
        {**entry, "every": None, "cron_expr": "30 2 * * *", "timezone": "Europe/Berlin"},
    )
    for limit, most in (("crm-api", 5), ("tenant", 1), ("tenant:acme", 2), ("stopped", 0)):
        await cluster.ask("PUT", f"/limits/{limit}", {"max_running": most})
    for n in range(3):
        held = {"executor": "echo", "payload": {"wait": True}, "limits": ["tenant:globex"]}
        await cluster.ask("POST", "/tasks", {**held, "id": f"limited-{n}"})
    days = {"dates": {"2026-12-24/2026-12-26": MARKUP}, "until": "2026-12-31"}
    calendar = {"skip": [{"name": MARKUP, **days}, {"name": "weekend", "weekdays": ["sat", "sun"]}]}
    await cluster.ask("PUT", "/configs/calm", {**entry, "calendar": calendar})
    await cluster.ask("POST", "/configs/berlin/pause", {"reason": f"{MARKUP} because"})
    found = {}
    for config in ("good.one", "bad.one", "waits"):
        made = await cluster.ask("POST", f"/configs/{config}/trigger")
        assert made.status == 201, made.text
        found[config] = made.body["id"]
    for config in ("good.one", "bad.one"):
        await cluster.ask("GET", f"/tasks/{found[config]}/wait?timeout=20s")
    return found


def addresses(tasks: dict[str, str]) -> list[str]:
    return [
        "",
        "configs",
        "configs/good.one",
        "configs/berlin?tab=upcoming",
        "configs/good.one?tab=decisions",
        "configs/good.one?tab=definition",
        "configs/good.one?tab=why",
        "tasks",
        "tasks?state=success",
        f"tasks/{tasks['good.one']}",
        f"tasks/{tasks['bad.one']}",
        f"tasks/{tasks['waits']}",
        "problems",
        "calendar",
        "calendar?view=week",
        "calendar?day=2031-03-30&at=1932678000000",
        "new",
        "configs/berlin/edit",
        "workers",
        "limits",
        "limits?state=waits",
        "limits?tab=calendars",
        "limits/tenant",
        "cluster",
        "cluster?tab=plugins",
        "cluster?tab=tokens",
        "cluster?tab=audit",
        "nowhere/at/all",
    ]


@pytest.mark.parametrize("language", ["en-GB", pytest.param("zh-CN", marks=pytest.mark.long)])
async def test_every_page_is_without_complaint_and_open_to_all(
    console: Any, cluster: Any, language: str
) -> None:
    tasks = await filled(cluster)
    found = {}
    async with console.window(color_scheme="dark", locale=language) as window:
        for address in addresses(tasks):
            page = await window.open(address)
            await window.settled()
            assert await page.evaluate("document.documentElement.lang") == language[:2]
            assert await page.evaluate("document.documentElement.dataset.theme") == "dark"
            found[f"{address} dark"] = await window.axe()
            if language.startswith("en"):  # another language has the same colours
                await page.evaluate("document.documentElement.dataset.theme = 'light'")
                found[f"{address} light"] = await window.axe(["color-contrast"])
            assert await page.locator("main script, main img").count() == 0
        assert {address: said for address, said in found.items() if said} == {}
        assert window.complaints == []


async def test_nothing_scrolls_sideways_at_320_pixels(console: Any, cluster: Any) -> None:
    tasks = await filled(cluster)
    async with console.window(viewport={"width": 320, "height": 700}) as window:
        for address in addresses(tasks):
            page = await window.open(address)
            await window.settled()
            assert await page.evaluate("document.documentElement.scrollWidth") <= 320, address


async def test_text_of_users_is_shown_as_text_and_large_numbers_exactly(
    console: Any, cluster: Any
) -> None:
    tasks = await filled(cluster)
    async with console.window() as window:
        page = await window.open(f"tasks/{tasks['good.one']}")
        await page.get_by_text(MARKUP).first.wait_for()
        shown = await page.locator(".json").all_inner_texts()
        assert len(shown) == 2
        assert all(f'"big": {BIG}' in one for one in shown)
        page = await window.open(f"tasks/{tasks['bad.one']}")
        assert MARKUP in await page.locator(".failure").inner_text()
        assert window.complaints == []


async def test_a_task_of_any_name_is_found_by_its_address(console: Any, cluster: Any) -> None:
    async with console.window() as window:
        for name in ("a%2Fb", "%3Cscript%3E", "100%25", "a%E2%80%AEb", "x" * 200):
            page = await window.open(f"tasks/{name}")
            await window.settled()
            # The browser itself says that the API answered 404; that is all it says.
            assert [one for one in window.complaints if "404" not in one] == []
            assert await page.locator("main script").count() == 0


async def test_a_read_only_session_sees_all_and_is_offered_nothing(
    console: Any, cluster: Any
) -> None:
    tasks = await filled(cluster)
    async with console.window(scope="read") as window:
        for address in addresses(tasks):
            page = await window.open(address)
            await window.settled()
            assert await page.locator("[data-act], input:enabled[type=checkbox]").count() == 0, (
                address
            )
        page = await window.open(f"tasks/{tasks['good.one']}")
        await page.get_by_text("This session may not see arguments of tasks.").wait_for()
        assert window.complaints == []
