"""`make console-figures`: what the console weighs and costs, into docs/results/console.json and the
page.

A pod on the embedded store runs jobs and holds 10,000 waiting tasks; a real Chromium looks at it.
Viewers beyond the first are what a page asks for: a stream of events, and GET /now every ten
seconds.
"""

import asyncio
import json
import os
import re
import statistics
import sys
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import screenshots

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
INTO = ROOT / "docs/results/console.json"
HEADERS = {"Authorization": f"Bearer {screenshots.TOKEN}"}
WAITING = 10_000
ROUNDS = 5
WATCHED_S = 60.0  # a minute, since a run of many tasks begins with each of them
NOW_EVERY_S = 10.0
MANY = 50
AGAIN = {"Cache-Control": "max-age=2"}  # as the pages ask
STEPS = re.compile(r"^dsched_store_step_seconds_count\S* (\S+)$", re.MULTILINE)
PAGES = {
    "Now": "",
    "Configs": "configs",
    "Config": "configs/media.transcode",
    "Editor": "configs/media.transcode/edit",
    "Tasks": "tasks?state=success",
    "Task": "tasks/{task}",
    "Calendar": "calendar",
    "Problems": "problems",
    "Workers": "workers",
    "Cluster": "cluster",
}
# From a click to the frame after the one in which the page has what was asked for.
TIMED = """async ([press, there]) => {
  const button = document.querySelector(press);
  const began = performance.now();
  button.click();
  while (!document.querySelector(there)) await new Promise((done) => setTimeout(done, 0));
  await new Promise((done) => requestAnimationFrame(() => setTimeout(done, 0)));
  return performance.now() - began;
}"""
LOADED = """() => ["navigation", "resource"].flatMap((kind) => performance.getEntriesByType(kind))
  .filter((one) => one.name.includes("/ui/")).reduce((sum, one) => sum + one.encodedBodySize, 0)"""


async def ask(http: aiohttp.ClientSession, method: str, url: str, body: Any = None) -> Any:
    """An answer of the API, which is expected to be good."""
    async with http.request(method, url, json=body, headers=HEADERS) as answer:
        if answer.status >= 400:
            raise SystemExit(f"measure: {method} {url}: {answer.status} {await answer.text()}")
        return await answer.json()


async def fill(http: aiohttp.ClientSession, url: str) -> None:
    """Many tasks that wait for a worker that there is not."""
    for start in range(0, WAITING, 100):
        items = [
            {
                "id": f"t{start + n:05}",
                "executor": "local",
                "payload": {"function": "work"},
                "required_labels": {"gpu": "yes"},
            }
            for n in range(100)
        ]
        await ask(http, "POST", f"{url}/api/v1/tasks/batch", {"items": items})


async def pages(browser: Any, url: str, task: str) -> dict[str, dict[str, float]]:
    """Kilobytes as sent and the time until a page shows what it asked for, with an empty cache."""
    found: dict[str, dict[str, float]] = {}
    for name, address in PAGES.items():
        took, sent = [], 0
        for _ in range(ROUNDS):
            context = await browser.new_context(locale="en-GB")
            token = {"token": screenshots.TOKEN}
            await context.request.post(f"{url}/api/v1/session", data=token)
            page = await context.new_page()
            began = time.perf_counter()
            await page.goto(f"{url}/ui/{address.format(task=task)}")
            await page.wait_for_selector("h1")
            await page.wait_for_selector("[aria-busy=true]", state="detached")
            took.append(1000 * (time.perf_counter() - began))
            sent = await page.evaluate(LOADED)
            await context.close()
        found[name] = {"kB": sent / 1000, "ms": statistics.median(took)}
    return found


async def interactions(browser: Any, url: str) -> dict[str, float]:
    """What a click takes on 10,000 tasks."""
    context = await browser.new_context(locale="en-GB", viewport={"width": 1280, "height": 900})
    await context.request.post(f"{url}/api/v1/session", data={"token": screenshots.TOKEN})
    page = await context.new_page()
    await page.goto(f"{url}/ui/tasks?state=ready")
    await page.wait_for_selector("tr[data-row]")
    for _ in range(4):
        shown = await page.evaluate("document.querySelector('.acts button')?.textContent ?? ''")
        if "more" in shown:
            await page.locator(".acts button").last.click()
            await page.wait_for_timeout(400)
    every = "thead input[type=checkbox]"
    chosen, cleared = [], []
    for _ in range(10):
        chosen.append(await page.evaluate(TIMED, [every, ".selection"]))
        cleared.append(await page.evaluate(TIMED, [every, "main:not(:has(.selection))"]))
    rows = await page.locator("tr[data-row]").count()
    await context.close()
    both = sorted([*chosen, *cleared])
    return {"rows": rows, "median_ms": statistics.median(both), "worst_ms": both[-1]}


def cpu_s(pid: int) -> float:
    """Processor seconds that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def steps(http: aiohttp.ClientSession, url: str) -> float:
    """Calls of the store that the pod has made."""
    async with http.get(f"{url}/metrics", headers=HEADERS) as answer:
        text = await answer.text()
    return sum(float(one) for one in STEPS.findall(text))


async def cost(http: aiohttp.ClientSession, url: str, pod: int) -> tuple[float, float]:
    """Processor seconds and store calls of the pod, a second."""
    began, cpu, calls = time.perf_counter(), cpu_s(pod), await steps(http, url)
    await asyncio.sleep(WATCHED_S)
    passed = time.perf_counter() - began
    spent = cpu_s(pod) - cpu
    return spent / passed, (await steps(http, url) - calls) / passed


async def viewer(http: aiohttp.ClientSession, url: str, tokens: str) -> None:
    """What a page asks for while it is looked at."""
    headers = {"Authorization": f"Bearer {tokens}"}

    async def listen() -> None:
        async with http.get(f"{url}/api/v1/events?within=5s", headers=headers) as stream:
            async for _ in stream.content:
                pass

    async def read() -> None:
        while True:
            async with http.get(f"{url}/api/v1/now", headers=headers | AGAIN) as answer:
                await answer.read()
            await asyncio.sleep(NOW_EVERY_S)

    await asyncio.gather(listen(), read())


async def viewers(http: aiohttp.ClientSession, url: str, pod: int) -> dict[str, Any]:
    """The pod without a viewer, with one, and with many: what each of them adds."""
    found: dict[str, Any] = {}
    made = [
        (await ask(http, "POST", f"{url}/api/v1/tokens", {"name": f"v{n}", "scope": "read"}))[
            "token"
        ]
        for n in range(3)
    ]
    base_cpu, base_calls = await cost(http, url, pod)
    found["0"] = {"cpu": base_cpu, "calls": base_calls}
    for number in (1, MANY):
        tasks = [asyncio.create_task(viewer(http, url, made[n % len(made)])) for n in range(number)]
        await asyncio.sleep(3)
        broken = [one for one in tasks if one.done()]
        if broken:
            broken[0].result()
        cpu, calls = await cost(http, url, pod)
        found[str(number)] = {"cpu": cpu - base_cpu, "calls": calls - base_calls}
        for one in tasks:
            one.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(2)
    return found


async def measure(url: str, pod: int) -> dict[str, Any]:
    """All figures."""
    from playwright.async_api import async_playwright

    tests = screenshots.tests()
    if tests.chromium() is None:
        raise SystemExit(f"measure: {tests.NO_BROWSER}")
    async with AsyncExitStack() as stack:
        connector = aiohttp.TCPConnector(limit=0)
        http = await stack.enter_async_context(
            aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=None))
        )
        seen = await viewers(http, url, pod)
        await fill(http, url)
        done = await ask(http, "GET", f"{url}/api/v1/tasks?config=media.transcode&limit=1")
        playwright = await stack.enter_async_context(async_playwright())
        browser = await playwright.chromium.launch(
            executable_path=tests.chromium(), args=tests.FLAGS
        )
        weighed = await pages(browser, url, done["items"][0]["id"])
        clicked = await interactions(browser, url)
        await browser.close()
    return {"pages": weighed, "interaction": clicked, "viewers": seen}


def main() -> None:
    """Measure, record, and bring the page up to date."""
    with screenshots.pod() as url:
        time.sleep(30)
        # The pod is the only child there is by now.
        children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
        found = asyncio.run(measure(url, int(children[0])))
    found["date"] = time.strftime("%Y-%m-%d", time.gmtime())
    INTO.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    sys.path.insert(0, str(ROOT / "tests/benchmarks"))
    import console_figures

    console_figures.refresh(ROOT / "docs/performance.md")
    print("\n".join(console_figures.section()))


if __name__ == "__main__":
    main()
