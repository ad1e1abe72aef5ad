"""What people do with the console: log in, act by keyboard, watch, lose the server, come back."""

import asyncio
import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from api_pods import serving

from dsched_testkit.memory import new_state

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

HOURLY = {"executor": "echo", "every": "1h", "payload": {"n": 1}}

PAINTED = "new Promise((done) => requestAnimationFrame(() => setTimeout(done)))"


async def test_a_token_logs_in_and_the_one_at_the_corner_logs_out(
    console: Any, cluster: Any
) -> None:
    async with console.window(scope=None) as window:
        page = await window.open("configs")
        await page.get_by_label("Token").fill("dsk_wrong0_" + "x" * 43)
        await page.keyboard.press("Enter")
        await page.get_by_text("This token is unknown or no longer valid.").wait_for()
        await page.get_by_label("Token").fill(await cluster.token_of("operate"))
        await page.keyboard.press("Enter")
        await page.get_by_role("heading", name="Configs").wait_for()
        cookies = await page.context.cookies()
        assert [one["httpOnly"] for one in cookies] == [True]
        assert await page.evaluate("document.cookie") == ""
        await page.get_by_role("button", name=re.compile("Log out")).click()
        await page.get_by_role("heading", name="Log in").wait_for()
        assert [one for one in window.complaints if "401" not in one] == []


async def test_the_link_that_the_pod_prints_logs_in_once(
    browse: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with serving(roles=("api", "scheduler", "worker")) as api, browse(api) as browser:
        found = re.search(r"/ui/(#once=[\w-]+)", caplog.text)
        assert found is not None
        async with browser.window(scope=None) as window:
            page = await window.open(found[1])
            await page.get_by_text("Three steps to a first task").wait_for()
            assert "once" not in page.url
            assert window.complaints == []
        async with browser.window(scope=None) as window:
            page = await window.open(found[1])
            await page.get_by_text("This link has been used").wait_for()


async def test_everything_can_be_done_by_keyboard(
    console: Any, cluster: Any, caplog: pytest.LogCaptureFixture
) -> None:
    await cluster.ask("PUT", "/configs/report", HOURLY)
    bad = {**HOURLY, "payload": {"fail": "no pages"}, "retry": {"max_retries": 0}}
    await cluster.ask("PUT", "/configs/worse", bad)
    async with console.window() as window:
        page = await window.open()
        press = page.keyboard.press

        async def act(key: str) -> None:
            """Press the key of a button of a config, which a person sees first."""
            await page.locator(f'.keyact[data-key="{key}"] button').wait_for()
            await page.evaluate(PAINTED)
            await press(key)

        await press("g")
        await press("c")
        await page.get_by_role("heading", name="Configs").wait_for()
        await page.get_by_role("link", name="worse").wait_for()
        await press("j")
        await press("Enter")
        await page.get_by_role("heading", name="report").wait_for()
        await act("t")
        await page.get_by_label("Why (shown").fill("by hand")
        await press("Enter")
        await page.get_by_text("Success", exact=True).first.wait_for()
        assert "/tasks/report%40" in page.url
        await page.go_back()
        await page.get_by_role("heading", name="report").wait_for()
        await act("p")
        await page.get_by_role("dialog").wait_for()
        await press("Enter")  # without saying why
        await page.get_by_text("Say why, in a few words.").wait_for()
        await page.keyboard.type("the printer is on fire")
        await press("Enter")
        await page.get_by_text("the printer is on fire").first.wait_for()
        stored = (await cluster.ask("GET", "/configs/report")).body
        assert stored["paused"]["why"] == "the printer is on fire"
        await act("p")
        await page.get_by_role("dialog").wait_for()
        await press("Enter")
        await page.get_by_text("Active, on time").wait_for()
        await press("?")
        await page.get_by_role("heading", name="Keys").wait_for()
        await press("Escape")
        await page.get_by_role("dialog").wait_for(state="hidden")
        await page.evaluate(PAINTED)  # a person sees that it is gone before the next key
        await press("/")
        await page.wait_for_function("document.activeElement.type === 'search'")
        await page.keyboard.type("wor")
        await press("Enter")
        await page.wait_for_url("**/configs?q=wor")
        await page.get_by_role("link", name="worse").click()
        await page.get_by_role("heading", name="worse").wait_for()
        await act("t")
        await page.get_by_role("dialog").wait_for()
        await press("Enter")
        await page.get_by_text("no pages").first.wait_for()
        failed = page.url
        retry = page.get_by_role("button", name="Retry…")
        await retry.focus()
        await press("Enter")
        await page.get_by_role("dialog").wait_for()
        await press("Enter")
        await page.wait_for_url(lambda url: url != failed)
        assert window.complaints == []


async def test_an_act_over_a_selection_says_names_and_the_same_as_commands(
    console: Any, cluster: Any
) -> None:
    for name in ("one", "two", "three"):
        await cluster.ask("PUT", f"/configs/{name}", HOURLY)
    async with console.window() as window:
        page = await window.open("configs")
        for name in ("one", "two"):
            await page.get_by_label(f"Select {name}").check()
        await page.get_by_role("region", name="2 selected").get_by_text("Pause…").click()
        dialog = page.get_by_role("dialog")
        await dialog.get_by_label("Why").fill("it's a holiday")
        await dialog.get_by_text("The same as a command").click()
        commands = await dialog.locator(".command").inner_text()
        assert commands.splitlines() == [
            "dsched config pause one --reason 'it'\\''s a holiday'",
            "dsched config pause two --reason 'it'\\''s a holiday'",
        ]
        await dialog.get_by_role("button", name="Pause 2").click()
        await dialog.wait_for(state="detached")
        paused = {
            one["id"]: one["paused"] is not None
            for one in (await cluster.ask("GET", "/configs")).body["items"]
        }
        assert paused == {"one": True, "two": True, "three": False}


async def test_a_list_keeps_its_rows_while_others_come(console: Any, cluster: Any) -> None:
    await cluster.ask("PUT", "/configs/report", {**HOURLY, "overlap": "allow"})
    for _ in range(3):
        await cluster.ask("POST", "/configs/report/trigger")
    async with console.window() as window:
        page = await window.open("tasks?state=success")

        async def rows() -> list[str]:
            found = page.locator("tr[data-row] a[dir]")
            return [str(await one.get_attribute("href")) for one in await found.all()]

        await page.locator("tr[data-row]").first.wait_for()
        await page.get_by_text("live", exact=True).wait_for()
        before = await rows()
        for _ in range(20):
            await cluster.ask("POST", "/configs/report/trigger")
        await page.get_by_role("button", name=re.compile(r"\d+ new")).wait_for()
        assert await rows() == before
        await page.get_by_role("button", name="20 new").click()
        await page.locator("tr[data-row]").nth(22).wait_for()


async def test_many_tasks_are_at_most_a_hundred_rows_of_the_page(browse: Any) -> None:
    async with serving(roles=("api",)) as api, browse(api) as browser:
        for start in range(0, 500, 100):
            items = [{"id": f"t{start + n}", "executor": "echo"} for n in range(100)]
            assert (await api.ask("POST", "/tasks/batch", {"items": items})).status == 207
        async with browser.window() as window:
            page = await window.open("tasks?state=ready")
            await page.get_by_role("button", name="Load more").click()
            await page.get_by_role("link", name="100 ›").click()
            await page.get_by_role("link", name="‹ 100").wait_for()
            assert await page.locator("tr[data-row]").count() <= 100


async def test_a_long_log_is_followed_searched_and_linked(console: Any, cluster: Any) -> None:
    lines = [f"line {number} of many" for number in range(1, 1501)]
    payload = {"log": lines, "wait": True}
    made = await cluster.ask("POST", "/tasks", {"executor": "echo", "payload": payload})
    async with console.window() as window:
        page = await window.open(f"tasks/{made.body['id']}")
        await page.get_by_text("line 1500 of many").wait_for()
        assert await page.locator(".lines p[data-n]").count() <= 1000
        await page.get_by_label("Search in the lines").fill("LINE 77 of")
        await page.get_by_text("1 hit", exact=True).wait_for()
        assert await page.locator(".lines mark").inner_text() == "line 77 of"
        await page.locator(".lines a").click()
        assert "line=" in page.url
        await page.reload()
        await page.locator(".lines p.target").wait_for()
        await page.get_by_label("Search in the lines").fill("")
        cluster.echo.gate.set()
        await page.get_by_text("Success", exact=True).first.wait_for()
        assert window.complaints == []


async def test_each_attempt_of_a_task_says_where_it_ran_and_how_it_ended(
    console: Any, cluster: Any
) -> None:
    payload = {"fail": "no bread\nno butter", "retryable": True}
    retry = {"max_retries": 2, "retry_delay": "10ms"}
    once = {"executor": "echo", "payload": {"fail": "no bread"}}
    made = await cluster.ask("POST", "/tasks", {**once, "payload": payload, "retry": retry})
    single = await cluster.ask("POST", "/tasks", once)
    async with console.window() as window:
        page = await window.open(f"tasks/{made.body['id']}")
        rows = page.locator(".attempts tr[data-row]")
        await rows.nth(2).wait_for()
        texts = await rows.all_inner_texts()
        assert [text.split()[0] for text in texts] == ["3", "2", "1"]
        task = (await cluster.ask("GET", f"/tasks/{made.body['id']}?full=true")).body
        assert all(task["attempts"][0]["worker_id"] in text for text in texts)
        assert all("Failed" in text and text.endswith("no butter") for text in texts), texts
        assert await rows.nth(0).locator("td").last.get_attribute("title") == "no bread\nno butter"
        page = await window.open(f"tasks/{single.body['id']}")
        await page.locator(".failure").wait_for()
        assert await rows.count() == 0
        assert window.complaints == []


async def test_the_server_restarts_under_an_open_page(browse: Any) -> None:
    state = new_state()
    roles = ("api", "scheduler", "worker")
    async with serving(roles=roles, state=state) as first, browse(first) as browser:
        await first.ask("PUT", "/configs/before", HOURLY)
        port = int(first.url.rpartition(":")[2])
        async with browser.window() as window:
            page = await window.open("configs")
            await page.get_by_text("live", exact=True).wait_for()
            await page.get_by_role("link", name="before").wait_for()
            first.pod.stop()
            await page.get_by_text(re.compile("^no contact")).wait_for()
            await asyncio.sleep(1.2)  # the gap that the page has to tell of
            assert await page.get_by_role("link", name="before").count() == 1
            async with serving(roles=roles, state=state, port=port) as second:
                await second.ask("PUT", "/configs/after", HOURLY)
                await page.get_by_text("live", exact=True).wait_for()
                await page.get_by_text(re.compile("The server was away for")).wait_for()
                await page.get_by_role("link", name="after").wait_for()


async def test_a_revoked_token_leads_to_the_login(console: Any, cluster: Any) -> None:
    async with console.window(scope="read") as window:
        page = await window.open()
        await page.get_by_text("live", exact=True).wait_for()
        for token in (await cluster.ask("GET", "/tokens")).body["items"]:
            await cluster.ask("DELETE", f"/tokens/{token['id']}")
        await page.get_by_role("heading", name="Log in").wait_for()


async def test_a_browser_whose_clock_is_two_hours_off_tells_the_servers_time(
    console: Any, cluster: Any
) -> None:
    await cluster.ask("PUT", "/configs/report", HOURLY)
    async with console.window() as window:
        await window.page.add_init_script("const real = Date.now; Date.now = () => real() + 7.2e6;")
        page = await window.open("configs/report")
        told = page.locator(".fires .dim").last
        await told.wait_for()
        assert re.fullmatch(
            r"in (4 h|5 h)", await page.locator(".fires tr").last.locator("td").last.inner_text()
        )
        line = await page.locator(".status .end").inner_text()
        now = (await cluster.ask("GET", "/cluster")).body["store_time"]
        assert line[3:5] in (now[14:16], f"{(int(now[14:16]) + 59) % 60:02d}")
        assert int(line[:2]) % 24 == int(now[11:13])


@asynccontextmanager
async def proxy(target: str, prefix: str, refuses: str = "") -> AsyncIterator[str]:
    """A proxy that serves everything below a prefix, and takes that away before it asks; 422 to
    what has ``refuses`` in its query."""
    runner: web.AppRunner
    async with aiohttp.ClientSession(auto_decompress=False) as http:

        async def pass_on(request: web.Request) -> web.StreamResponse:
            path = request.raw_path.removeprefix(prefix)
            if refuses and refuses in request.query_string:
                return web.json_response({"code": "invalid", "status": 422}, status=422)
            body = await request.read()
            asked = http.request(
                request.method,
                target + path,
                headers=request.headers,
                data=body,
                allow_redirects=False,
            )
            async with asked as answer:
                response = web.StreamResponse(status=answer.status, headers=answer.headers)
                await response.prepare(request)
                async for part in answer.content.iter_any():
                    await response.write(part)
                return response

        app = web.Application()
        app.router.add_route("*", f"{prefix}/{{tail:.*}}", pass_on)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            yield f"http://127.0.0.1:{runner.addresses[0][1]}{prefix}"
        finally:
            await runner.cleanup()


async def test_it_works_behind_a_prefix(browse: Any) -> None:
    async with serving(roles=("api", "scheduler", "worker"), prefix="/jobs") as api:
        await api.ask("PUT", "/configs/report", HOURLY)
        async with (
            proxy(api.url, "/jobs") as url,
            browse(api) as browser,
            browser.window(url=url) as window,
        ):
            page = await window.open("configs")
            await page.get_by_role("link", name="report").click()
            await page.get_by_role("heading", name="report").wait_for()
            assert page.url == f"{url}/ui/configs/report"
            await page.reload()
            await page.get_by_role("heading", name="report").wait_for()
            await page.get_by_text("live", exact=True).wait_for()
            assert window.complaints == []


async def test_a_pod_of_an_older_version_is_followed_all_the_same(browse: Any) -> None:
    async with (
        serving(roles=("api", "scheduler", "worker"), prefix="/jobs") as api,
        proxy(api.url, "/jobs", refuses="within=") as url,
        browse(api) as browser,
        browser.window(url=url) as window,
    ):
        page = await window.open("configs")
        await page.get_by_text("live", exact=True).wait_for()
        await api.ask("PUT", "/configs/report", HOURLY)
        await page.get_by_role("link", name="report").wait_for()


async def test_a_click_on_ten_thousand_tasks_is_answered_at_once(browse: Any) -> None:
    async with serving(roles=("api",)) as api, browse(api) as browser:
        for start in range(0, 10_000, 100):
            items = [{"id": f"t{start + n:05}", "executor": "echo"} for n in range(100)]
            assert (await api.ask("POST", "/tasks/batch", {"items": items})).status == 207
        async with browser.window() as window:
            page = await window.open("tasks?state=ready")
            await page.locator("tr[data-row]").first.wait_for()
            await page.locator("tr[data-row]").nth(99).wait_for()
            took = await page.evaluate(
                """async () => {
                  const found = [];
                  for (let n = 0; n < 11; n++) {
                    const began = performance.now();
                    document.querySelector("thead input").click();
                    await new Promise((done) => requestAnimationFrame(() => setTimeout(done, 0)));
                    found.push(performance.now() - began);
                  }
                  return found.sort((a, b) => a - b)[5];
                }"""
            )
            assert await page.locator("tr[data-row]").count() <= 200
            assert await page.evaluate("document.querySelectorAll('tr').length") <= 202
            assert took < 100


async def test_a_list_keeps_order_and_selection_while_a_hundred_events_a_second_come(
    console: Any, cluster: Any
) -> None:
    await cluster.ask("PUT", "/configs/report", {**HOURLY, "overlap": "allow"})
    for _ in range(5):
        made = await cluster.ask("POST", "/configs/report/trigger")
        await cluster.ask("GET", f"/tasks/{made.body['id']}/wait?timeout=20s")
    async with console.window() as window:
        page = await window.open("tasks?state=success")
        await page.locator("tr[data-row]").nth(4).wait_for()
        await page.get_by_text("live", exact=True).wait_for()
        await page.locator("tr[data-row] input").nth(2).check()
        rows = page.locator("tr[data-row] a[dir]")
        before = [await one.get_attribute("href") for one in await rows.all()]
        async with asyncio.timeout(60):
            for start in range(0, 500, 100):
                items = [
                    {"id": f"e{start + n}", "executor": "echo", "payload": {"n": 1}}
                    for n in range(100)
                ]
                await cluster.ask("POST", "/tasks/batch", {"items": items})
                await asyncio.sleep(1)
        await page.get_by_role("button", name=re.compile(r"\d+ new")).wait_for()
        assert [await one.get_attribute("href") for one in await rows.all()] == before
        assert await page.locator("tr.chosen").count() == 1
        assert await page.locator("tr[data-row] input").nth(2).is_checked()
        assert window.complaints == []


async def test_a_log_of_two_hundred_thousand_lines_is_bounded_and_says_what_is_missing(
    console: Any, cluster: Any
) -> None:
    payload = {"log": [f"line {number}" for number in range(1, 3001)], "times": 67}
    made = await cluster.ask("POST", "/tasks", {"executor": "echo", "payload": payload})
    await cluster.ask("GET", f"/tasks/{made.body['id']}/wait?timeout=50s")
    async with console.window() as window:
        page = await window.open(f"tasks/{made.body['id']}")
        await page.get_by_text("Success", exact=True).first.wait_for()
        await page.get_by_text(re.compile(r"lines? not kept")).wait_for()
        assert await page.locator(".lines p[data-n]").count() <= 1000
        told = await page.locator(".foot").inner_text()
        lost = int(re.search(r"([\d,]+) lines? not kept", told)[1].replace(",", ""))
        assert lost > 190_000
