"""Runs of many tasks: the graph, the parts, members and logs, cancel and retry from failure."""

import asyncio
import re
from typing import Any

import pytest
from api_pods import serving

from dsched_testkit.memory import new_state

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

PARTS = 1000
BROKEN = (13, 500, 999)
# A step of each kind: parts of which some fail, one that is left out by its `when`, one that runs
# because of the failure, one that is left out because of it, and one that may fail.
FLOW = {
    "every": "1h",
    "retry": {"max_retries": 0},
    "fail_fast": False,
    "steps": {
        "load": {"executor": "echo", "payload": {"log": ["two rows were loaded"]}},
        "parts": {
            "needs": ["load"],
            "executor": "echo",
            "for_each": [{"n": 0}, {"fail": "part 1 is empty"}, {"n": 2}],
            "payload": "${item}",
        },
        "undo": {"needs": ["load"], "when": "failure", "executor": "echo"},
        "report": {"needs": ["parts"], "executor": "echo"},
        "tell": {
            "needs": ["parts"],
            "when": "failure",
            "allow_failure": True,
            "executor": "echo",
            "payload": {"fail": "nobody listens"},
        },
    },
}


async def run_of(cluster: Any, flow: dict[str, Any] = FLOW, *, ends: bool = True) -> str:
    """The id of a run of a config ``etl`` with these steps; by default of one that has ended."""
    assert (await cluster.ask("PUT", "/configs/etl", flow)).status in (200, 201)
    made = await cluster.ask("POST", "/configs/etl/trigger")
    assert made.status == 201, made.text
    run_id = str(made.body["id"])
    if ends:
        await cluster.ask("GET", f"/tasks/{run_id}/wait?timeout=60s")
    return run_id


def node(page: Any, name: str) -> Any:
    return page.locator(".node a").filter(has_text=re.compile(rf"^\s*{name}\b"))


async def test_the_graph_says_of_each_step_what_became_of_it_and_why(
    console: Any, cluster: Any
) -> None:
    run_id = await run_of(cluster)
    async with console.window() as window:
        page = await window.open(f"tasks/{run_id}")
        await node(page, "load").wait_for()
        said = {
            name: " ".join((await node(page, name).inner_text()).split()).replace(" ,", ",")
            for name in FLOW["steps"]  # type: ignore[attr-defined]
        }
        assert re.fullmatch(r"load, success \d+ ms", said["load"]), said
        assert re.match(r"parts, failed .*3 of 3 ended, 1 failed after load", said["parts"]), said
        assert "undo, skipped nothing failed, runs on failure after load" in said["undo"], said
        assert "report, skipped parts failed after parts" in said["report"], said
        assert re.match(r"tell, failed, as allowed .*runs on failure", said["tell"]), said
        await page.get_by_text("Failed at parts", exact=True).wait_for()
        assert await page.locator(".graph svg .arrows.critical path").count() == 2
        # The same as a table.
        rows = await page.locator(".stepslist tbody tr").all_inner_texts()
        assert [row.split()[0] for row in rows] == ["load", "parts", "undo", "report", "tell"]
        assert window.complaints == []


async def test_a_step_is_chosen_by_keyboard_and_stands_in_the_address(
    console: Any, cluster: Any
) -> None:
    run_id = await run_of(cluster)
    async with console.window() as window:
        page = await window.open(f"tasks/{run_id}")
        await page.locator(".node a[aria-current]").get_by_text("parts").wait_for()
        await node(page, "load").focus()
        await page.keyboard.press("Enter")
        await page.get_by_text("two rows were loaded").wait_for()  # its log is open
        assert "step=load" in page.url
        await page.reload()
        await page.get_by_text("two rows were loaded").wait_for()
        await node(page, "tell").click()
        await page.get_by_role("link", name="Open task").click()
        await page.get_by_role("heading", name="step tell").wait_for()
        await page.get_by_text("nobody listens").first.wait_for()
        await page.get_by_text("It is retried with its run.").wait_for()
        await page.locator(".torun").click()
        await page.locator(".graph").wait_for()
        assert page.url.endswith(run_id.replace("@", "%40"))
        assert window.complaints == []


async def test_a_run_goes_on_under_the_eyes_of_who_looks(console: Any, cluster: Any) -> None:
    steps = {
        "first": {"executor": "echo", "payload": {"wait": True}},
        "second": {"needs": ["first"], "executor": "echo", "shards": 2},
    }
    run_id = await run_of(cluster, {"every": "1h", "steps": steps}, ends=False)
    async with console.window() as window:
        page = await window.open(f"tasks/{run_id}")
        await node(page, "first").get_by_text("running").wait_for()
        await node(page, "second").get_by_text("waiting").wait_for()
        await page.get_by_text("live", exact=True).wait_for()
        await page.get_by_role("button", name="All members").click()
        row = page.locator(".members tr[data-row]")
        await row.get_by_text("Running").wait_for()
        # Who reads the run anew is told the old: what is seen then is what the events have told.
        old = (await cluster.ask("GET", f"/tasks/{run_id}/run")).text
        told = {"body": old, "content_type": "application/json"}
        await page.route(re.compile("/run$"), lambda one: one.fulfill(**told))
        cluster.echo.gate.set()
        await node(page, "first").get_by_text("success").wait_for()
        await node(page, "second").get_by_text("2 of 2 ended").wait_for()
        await page.unroute_all()
        assert await row.count() == 1  # a table that is read does not move
        await page.get_by_role("button", name=re.compile(r"\d+ changes")).click()
        await row.nth(2).wait_for()
        await page.locator(".head").get_by_text("Success").wait_for()
        assert window.complaints == []


async def test_a_thousand_parts_are_a_grid_of_which_those_that_failed_are_picked(
    console: Any, cluster: Any
) -> None:
    items = [{"fail": "no rows"} if n in BROKEN else {"n": n} for n in range(PARTS)]
    steps = {
        "list": {"executor": "echo", "payload": {"items": items}},
        "index": {
            "needs": ["list"],
            "executor": "echo",
            "for_each": "${needs.list.data.items}",
            "payload": "${item}",
        },
    }
    flow = {"every": "1h", "retry": {"max_retries": 0}, "steps": steps}
    run_id = await run_of(cluster, flow)
    async with console.window() as window:
        page = await window.open(f"tasks/{run_id}")
        await page.locator(".parts .cell").nth(PARTS - 1).wait_for()
        assert await page.locator(".parts .cell").count() == PARTS
        assert await page.locator(".parts .k-failed").count() == len(BROKEN)
        assert await page.locator(".parts a[tabindex='0']").count() == 1  # one stop for all
        assert await page.locator(".members tr[data-row]").count() <= 100
        pick = page.locator(".partstools")
        await pick.get_by_role("button", name="Success 997").click()
        took = await page.evaluate(
            """async () => {
              const found = [];
              const [all, ...rest] = document.querySelectorAll(".partstools button");
              for (let n = 0; n < 11; n++) {
                const began = performance.now();
                (n % 2 ? rest[0] : all).click();
                await new Promise((done) => requestAnimationFrame(() => setTimeout(done, 0)));
                found.push(performance.now() - began);
              }
              return found.sort((a, b) => a - b)[5];
            }"""
        )
        assert took < 100
        await pick.get_by_role("button", name="Failed 3").click()
        await page.locator(".parts .cell").nth(2).wait_for()
        assert await page.locator(".parts .cell").count() == len(BROKEN)
        rows = page.locator(".members tr[data-row]")
        await rows.nth(2).wait_for()
        assert await rows.count() == len(BROKEN)
        texts = await rows.all_inner_texts()
        for part, text in zip(BROKEN, texts, strict=True):
            assert f"step index, part {part}" in text
            assert "Failed" in text
            assert "no rows" in text
        await page.locator(".parts a[tabindex='0']").focus()
        await page.keyboard.press("ArrowRight")
        await page.keyboard.press("End")
        await page.keyboard.press("ArrowLeft")
        await page.keyboard.press("Enter")
        await page.get_by_role("heading", name="step index, part 500").wait_for()
        assert window.complaints == []


async def test_members_are_told_with_worker_times_and_code_and_their_logs_with_their_step(
    console: Any, cluster: Any
) -> None:
    run_id = await run_of(cluster)
    found = (await cluster.ask("GET", f"/tasks/{run_id}~load")).body
    async with console.window() as window:
        page = await window.open(f"tasks/{run_id}?show=members")
        rows = page.locator(".members tr[data-row]")
        await rows.nth(4).wait_for()
        load, *parts, tell = await rows.all_inner_texts()
        assert "step load" in load
        assert found["worker_id"] in load
        assert [re.search(r"part \d", one)[0] for one in parts] == ["part 0", "part 1", "part 2"]
        assert "nobody listens" in tell
        codes = await page.locator(".members code").all_inner_texts()
        assert codes[0] == "ok"
        await page.get_by_role("button", name="All logs").click()
        line = page.locator(".runlog .lines p").filter(has_text="two rows were loaded")
        await line.wait_for()
        assert await line.locator("a").inner_text() == "load"
        await line.locator("a").click()
        await page.get_by_role("heading", name="step load").wait_for()
        assert window.complaints == []


async def test_a_run_is_retried_from_its_failure(console: Any, cluster: Any) -> None:
    run_id = await run_of(cluster)
    async with console.window() as window:
        page = await window.open(f"tasks/{run_id}")
        await page.get_by_text(
            "Retry from failure runs 2 steps again: parts, report. What 1 step did is kept."
        ).wait_for()
        await page.get_by_role("button", name="Retry from failure…").click()
        dialog = page.get_by_role("dialog")
        await dialog.get_by_label("Why").fill("the rows are there now")
        await dialog.get_by_text("The same as a command").click()
        command = await dialog.locator(".command").inner_text()
        assert command == f"dsched task retry {run_id} --failed --reason 'the rows are there now'"
        await dialog.get_by_role("button", name="Retry").click()
        await page.wait_for_url(lambda url: run_id.replace("@", "%40") not in url)
        await node(page, "load").get_by_text("taken over").wait_for()
        await node(page, "parts").get_by_text("2 taken over").wait_for()
        made = page.url.rpartition("/")[2].replace("%40", "@")
        stored = (await cluster.ask("GET", f"/tasks/{made}/run")).body["steps"]
        assert [one["taken"] for one in stored[:2]] == [1, 2]
        assert window.complaints == []


async def test_a_run_is_cancelled_with_all_of_its_members(console: Any, cluster: Any) -> None:
    steps = {"first": {"executor": "echo", "payload": {"wait": True}, "shards": 3}}
    run_id = await run_of(cluster, {"every": "1h", "steps": steps}, ends=False)
    async with console.window() as window:
        page = await window.open(f"tasks/{run_id}")
        await page.get_by_role("button", name="Cancel…").click()
        dialog = page.get_by_role("dialog")
        await dialog.get_by_text("Cancel this run and all of its members").wait_for()
        await dialog.get_by_role("button", name="Cancel", exact=True).click()
        await dialog.get_by_text("Say why, in a few words.").wait_for()
        await dialog.get_by_label("Why").fill("the wrong day")
        await dialog.get_by_role("button", name="Cancel", exact=True).click()
        ended = await cluster.ask("GET", f"/tasks/{run_id}/wait?timeout=30s")
        assert ended.body["status"] == "cancelled"
        await page.locator(".head").get_by_text("Cancelled").first.wait_for()
        assert window.complaints == []


async def test_lists_mark_a_run_and_its_members_say_where_they_belong(
    console: Any, cluster: Any
) -> None:
    run_id = await run_of(cluster)
    await cluster.ask("POST", "/tasks", {"id": "plain", "executor": "echo"})
    await cluster.ask("GET", "/tasks/plain/wait?timeout=20s")
    async with console.window() as window:
        page = await window.open("tasks?state=failed")
        rows = page.locator("tr[data-row]")
        marked = rows.filter(has=page.locator(".tag"))
        await marked.first.wait_for()
        assert await marked.locator("a[dir]").get_attribute(
            "href"
        ) == f"/ui/tasks/{run_id}".replace("@", "%40")
        await page.get_by_role("link", name="etl · step parts, part 1").wait_for()
        await window.open("tasks?state=success")
        await page.get_by_role("link", name="plain").wait_for()
        assert await page.locator(".tag").count() == 0
        assert window.complaints == []


async def test_a_run_that_no_leader_has_seen_yet_is_listed_as_one(browse: Any) -> None:
    async with serving(roles=("api",)) as api, browse(api) as browser:
        run_id = await run_of(api, ends=False)
        async with browser.window() as window:
            page = await window.open("tasks?state=open")
            await page.locator("tr[data-row] .tag").get_by_text("Run").wait_for()
            await page.get_by_role("link", name="etl").click()
            await node(page, "load").get_by_text("waiting").wait_for()
            assert page.url.endswith(run_id.replace("@", "%40"))
            assert window.complaints == []


async def test_a_run_of_shards_alone_has_parts_and_no_graph(console: Any, cluster: Any) -> None:
    flow = {"every": "1h", "executor": "echo", "shards": 4, "payload": {"at": "${shard.index}"}}
    run_id = await run_of(cluster, flow)
    async with console.window() as window:
        page = await window.open(f"tasks/{run_id}")
        await page.locator(".parts a.k-success").nth(3).wait_for()
        assert await page.locator(".graph").count() == 0
        await page.locator(".members").get_by_role("link", name="part 2").click()
        await page.get_by_role("heading", name="part 2").wait_for()
        assert window.complaints == []


async def test_the_part_of_each_worker_says_whose_it_is(browse: Any) -> None:
    state, roles = new_state(), ("api", "scheduler", "worker")
    steps = {
        "all": {"executor": "echo", "shards": "each_worker"},
        "none": {"executor": "echo", "shards": "each_worker", "required_labels": {"gpu": "1"}},
    }
    async with (
        serving({"worker.id": "w-a"}, roles=roles, state=state) as api,
        serving({"worker.id": "w-b", "pod.name": "pod-b"}, roles=roles[::2], state=state),
        browse(api) as browser,
        browser.window() as window,
    ):
        while len((await api.ask("GET", "/workers")).body["items"]) < 2:
            await asyncio.sleep(0.05)
        run_id = await run_of(api, {"every": "1h", "steps": steps})
        page = await window.open(f"tasks/{run_id}?step=all")
        for at, worker in enumerate(("w-a", "w-b")):
            part = page.get_by_role("link", name=f"part {at}, {worker}: success")
            await part.first.wait_for()
        await page.get_by_text("no worker is eligible: no worker has gpu=1").first.wait_for()
        page = await window.open("configs/etl?tab=graph")
        await page.get_by_text("one for each worker").first.wait_for()
        assert window.complaints == []


@pytest.mark.parametrize("language", ["en-GB", pytest.param("zh-CN", marks=pytest.mark.long)])
async def test_the_pages_of_a_run_are_without_complaint_and_open_to_all(
    console: Any, cluster: Any, language: str
) -> None:
    run_id = await run_of(cluster)
    found = {}
    async with console.window(color_scheme="dark", locale=language) as window:
        for more in ("", "?step=load", "?show=members", "?show=logs", "~parts~1"):
            page = await window.open(f"tasks/{run_id}{more}")
            await window.settled()
            found[f"{more} dark"] = await window.axe()
            await page.evaluate("document.documentElement.dataset.theme = 'light'")
            found[f"{more} light"] = await window.axe(["color-contrast"])
        assert {address: said for address, said in found.items() if said} == {}
        assert window.complaints == []


async def test_a_session_that_may_only_read_is_offered_no_act_on_a_run(
    console: Any, cluster: Any
) -> None:
    run_id = await run_of(cluster)
    async with console.window(scope="read") as window:
        for more in ("", "?show=members", "~parts~1"):
            page = await window.open(f"tasks/{run_id}{more}")
            await window.settled()
            assert await page.locator("[data-act]").count() == 0
        assert window.complaints == []


async def test_at_320_pixels_the_graph_is_a_list_by_levels(console: Any, cluster: Any) -> None:
    run_id = await run_of(cluster)
    async with console.window(viewport={"width": 320, "height": 700}) as window:
        page = await window.open(f"tasks/{run_id}")
        await page.get_by_text("Level 2", exact=True).wait_for()
        assert not await page.locator(".graph > svg").is_visible()
        await node(page, "report").get_by_text("after parts").wait_for()
        tops = [(await node(page, name).bounding_box())["y"] for name in ("load", "parts", "tell")]
        assert tops == sorted(tops)
        for more in ("", "?step=load", "?show=members", "?show=logs", "~parts~1"):
            await window.open(f"tasks/{run_id}{more}")
            await window.settled()
            assert await page.evaluate("document.documentElement.scrollWidth") <= 320, more


async def test_a_run_is_told_in_chinese(console: Any, cluster: Any) -> None:
    run_id = await run_of(cluster)
    async with console.window(locale="zh-CN") as window:
        page = await window.open(f"tasks/{run_id}")
        await node(page, "undo").get_by_text("已跳过").wait_for()
        await node(page, "parts").get_by_text("已结束 3 / 3").wait_for()
        await page.get_by_role("button", name="从失败处重试…").wait_for()
        assert window.complaints == []


async def test_a_config_shows_its_graph_and_what_became_of_each_step_in_its_last_runs(
    console: Any, cluster: Any
) -> None:
    for _ in range(2):
        run_id = await run_of(cluster)
    async with console.window() as window:
        page = await window.open("configs/etl")
        await page.get_by_role("link", name="Graph", exact=True).click()
        await node(page, "undo").get_by_text("runs on failure").wait_for()
        assert await page.locator(".node").count() == len(FLOW["steps"])  # type: ignore[arg-type]
        await node(page, "parts").focus()
        await page.keyboard.press("Enter")
        await page.get_by_text("part 1 is empty").wait_for()  # what the step is
        # Ended runs are in the list of their config a moment later.
        await page.wait_for_timeout(2000)
        await page.reload()
        await page.locator(".rungrid thead a").nth(1).wait_for()
        rows = page.locator(".rungrid tbody tr")
        assert await rows.locator("th").all_inner_texts() == list(FLOW["steps"])  # type: ignore[call-overload]
        assert await rows.nth(1).locator("a.k-failed").count() == 2
        assert await rows.nth(2).locator("a.k-skipped").count() == 2
        for theme in ("light", "dark"):
            await page.evaluate(f"document.documentElement.dataset.theme = '{theme}'")
            assert await window.axe() == []
        await rows.nth(1).locator("a").last.click()
        await page.locator(".parts .cell").nth(2).wait_for()
        assert f"{run_id.replace('@', '%40')}?step=parts" in page.url
        assert window.complaints == []


async def test_a_config_without_steps_has_no_graph(console: Any, cluster: Any) -> None:
    await cluster.ask("PUT", "/configs/plain", {"every": "1h", "executor": "echo"})
    async with console.window(viewport={"width": 320, "height": 700}) as window:
        page = await window.open("configs/plain?tab=graph")
        await page.get_by_role("link", name="Upcoming").wait_for()
        assert await page.get_by_role("link", name="Graph", exact=True).count() == 0
        await run_of(cluster)
        await window.open("configs/etl?tab=graph")
        await window.settled()
        await node(page, "report").get_by_text("after parts").wait_for()
        assert await page.evaluate("document.documentElement.scrollWidth") <= 320
        assert window.complaints == []


async def test_a_graph_of_a_hundred_steps_scrolls_in_its_own_box_and_no_nodes_overlap(
    console: Any, cluster: Any
) -> None:
    steps: dict[str, Any] = {"s0": {"executor": "echo"}}
    for n in range(1, 100):
        steps[f"s{n}"] = {"executor": "echo", "needs": sorted({"s0", f"s{n - 1}", f"s{n // 3}"})}
    made = await cluster.ask("PUT", "/configs/wide", {"every": "1h", "steps": steps})
    assert made.status == 201, made.text
    await cluster.ask(
        "PUT", "/configs/shards", {"every": "1h", "executor": "echo", "shards": 3, "payload": 1}
    )
    async with console.window() as window:
        page = await window.open("configs/wide?tab=graph")
        await page.locator(".node").nth(99).wait_for()
        boxes = [await one.bounding_box() for one in await page.locator(".node").all()]
        for number, one in enumerate(boxes):
            for other in boxes[:number]:
                sides = (("x", "width"), ("y", "height"))
                assert any(
                    one[at] >= other[at] + other[size] or other[at] >= one[at] + one[size]
                    for at, size in sides
                )
        wide, seen = await page.evaluate(
            "(() => { const box = document.querySelector('.graphbox');"
            " return [box.scrollWidth, box.clientWidth]; })()"
        )
        assert wide > 10 * seen
        assert await page.evaluate("document.documentElement.scrollWidth") <= 1280
        page = await window.open("configs/shards?tab=graph")
        await page.get_by_text("It has no runs yet.").wait_for()
        assert await page.locator(".graph").count() == 0
        assert window.complaints == []
