"""`make screenshots`: the pictures of the console, made of a running cluster with real tasks.

A pod runs the jobs below for a while, on a store of its own: what the pictures show has happened.
"""

import argparse
import asyncio
import importlib.util
import io
import json
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
INTO = ROOT / "docs/pictures"
TOKEN = "token-of-the-pictures-" + "0" * 20
PORT = 8790
MOST_BYTES = 150_000
EXACT = 192  # of the 256 colours of a picture: the most frequent ones, as they are
# What README and docs show.
SHOWN = {
    ("now", "light"),
    ("config", "dark"),
    ("failed", "light"),
    ("calendar", "light"),
    ("run", "light"),
}

JOBS = """
import asyncio, random
import dsched
from dsched import FunctionContext

@dsched.task("work")
async def work(ctx: FunctionContext, seconds: float = 0.2, steps: int = 3):
    for step in range(1, steps + 1):
        ctx.logger.info("batch %d of %d: %d rows", step, steps, random.randint(900, 2100))
        await asyncio.sleep(seconds / steps * random.uniform(0.6, 1.2))
        if step == 4:
            ctx.logger.warning("ledger AT-03: 3 invoices without VAT id, kept open")
    return {"rows": steps * 1500, "run_key": 2**60}

@dsched.task("shops")
async def shops(ctx: FunctionContext):
    await asyncio.sleep(0.6)
    return {"shops": [f"shop-{number:02}" for number in range(1, 65)]}

@dsched.task("import_shop")
async def import_shop(ctx: FunctionContext, shop: str):
    ctx.logger.info("%s: reading orders since yesterday", shop)
    await asyncio.sleep(random.uniform(0.2, 0.9))
    if shop in ("shop-23", "shop-58") and ctx.attempt == 1:
        raise ConnectionError(f"{shop} did not answer")
    return {"rows": random.randint(900, 4100)}

@dsched.task("warehouse")
async def warehouse(ctx: FunctionContext):
    ctx.logger.info("connecting to the warehouse")
    await asyncio.sleep(0.4)
    ctx.logger.error("no answer after 60 s")
    raise TimeoutError("warehouse did not answer in 60 s")
"""


def task(name: str, when: str, call: str = "function: work", **more: str) -> str:
    """One config of the pictures, as a line of the task file."""
    rest = "".join(f", {key}: {value}" for key, value in more.items())
    return f"  - {{id: {name}, {when}, executor: local, payload: {{{call}}}{rest}}}\n"


def long(seconds: int) -> str:
    """The payload of a task that takes a while."""
    return f"function: work, args: {{seconds: {seconds}, steps: {seconds}}}"


def calendar(**sets: str) -> str:
    """Which calendars of the file a config goes by."""
    return f"{{{', '.join(f'{key}: [{names}]' for key, names in sets.items())}}}"


# A run with all that a graph has to tell: parts, one of which is tried twice, a failure, what that
# leaves out and what runs because of it.
NIGHTLY = """  - id: etl.nightly
    every: 60s
    owner: data
    retry: {max_retries: 1, retry_delay: 1s}
    steps:
      list_shops: {executor: local, payload: {function: shops}}
      fetch_fx: {needs: [list_shops], executor: local, payload: {function: work}}
      import_shop:
        needs: [list_shops]
        for_each: "${needs.list_shops.data.shops}"
        max_parallel: 8
        executor: local
        payload: {function: import_shop, args: {shop: "${item}"}}
      merge_orders:
        needs: [fetch_fx, import_shop]
        executor: local
        payload: {function: work, args: {seconds: 2, steps: 4}}
      undo_fx: {needs: [fetch_fx], when: failure, executor: local, payload: {function: work}}
      load_warehouse: {needs: [merge_orders], executor: local, payload: {function: warehouse}}
      index_search: {needs: [merge_orders], executor: local, payload: {function: work}}
      publish_dash: {needs: [load_warehouse], executor: local, payload: {function: work}}
      notify_ops:
        needs: [load_warehouse]
        when: failure
        allow_failure: true
        executor: local
        payload: {function: work}
"""


CALENDARS = """calendars:
  workdays: {weekdays: mon-fri}
  trading: {weekdays: mon-fri, until: 2026-12-31}
  shutdown:
    dates: {2026-12-24/2026-12-26: Christmas, 2026-12-31: New Year's Eve}
  inventory: {dates: {2027-01-04/2027-01-05: Inventory, 2027-07-01: Inventory}}
"""
BERLIN, NEW_YORK = "timezone: Europe/Berlin", "timezone: America/New_York"
TASKS = (
    f"{CALENDARS}tasks:\n"
    + "".join(
        (
            task("billing.close", f'cron_expr: "10 18 * * 1-5", {BERLIN}', owner="finance"),
            task(
                "billing.invoices",
                f'cron_expr: "30 2 * * *", {BERLIN}',
                owner="finance",
                calendar=calendar(skip="shutdown", only="workdays"),
            ),
            task("cache.warm", 'cron_expr: "*/5 * * * *"', owner="platform"),
            task("crm.leads_score", 'cron_expr: "17 * * * *"', owner="sales"),
            task("dns.check", "every: 4s", owner="platform"),
            task("email.digest", f'cron_expr: "30 12 * * 1-5", {NEW_YORK}', owner="growth"),
            task(
                "etl.orders_import",
                "every: 20s",
                "function: warehouse",
                owner="data",
                retry="{max_retries: 0}",
            ),
            task("etl.stock_levels", "every: 12s", long(9), owner="data"),
            task("gdpr.erasure", f'cron_expr: "0 1 * * 0", {BERLIN}', owner="legal"),
            task(
                "hr.payroll_export",
                f'cron_expr: "0 6 25 * *", {BERLIN}',
                owner="people",
                calendar=calendar(skip="shutdown"),
            ),
            task("ledger.eod", "every: 40s", long(34), owner="finance"),
            task("media.transcode", "every: 26s", long(20), owner="media"),
            task("ml.train_ranker", 'cron_expr: "0 22 * * 5"', owner="ml"),
            task("ops.backup_primary", 'cron_expr: "0 0,12 * * *"', owner="platform"),
            task("pricing.refresh", "every: 15s", long(11), owner="growth"),
            task(
                "reports.us_daily",
                f'cron_expr: "0 6 * * *", {NEW_YORK}',
                owner="bi",
                calendar=calendar(skip="shutdown, inventory", only="trading"),
            ),
            task("shop.feed_export", "every: 31s", long(25), owner="shop"),
            task("webhooks.redeliver", "every: 3s", owner="platform"),
            *(task(f"night.{n:02}", 'cron_expr: "0 22 * * *"', owner="ops") for n in range(1, 41)),
        )
    )
    + NIGHTLY
)


# Pages that are looked at in another size; of a run docs show its graph alone.
SIZES = {"narrow": {"width": 360, "height": 1100}, "run": {"width": 1440, "height": 540}}

# How many at once, and what goes on under them from the start.
LIMITS = {"crm-api": 5, "tenant": 2, "tenant:acme": 4, "warehouse": 1, "legacy-erp": 0}
UNDER = (("acme", 3), ("globex", 5), ("initech", 1), ("umbrella", 2))


def _limited(url: str) -> None:
    """Put the limits, and configs whose tasks hold their places and wait for them."""
    for name, most in LIMITS.items():
        _put(f"{url}/limits/{name}", {"max_running": most})
    for tenant, at_once in UNDER:
        for number in range(at_once):
            entry = {
                "every": "30s",
                "executor": "local",
                "payload": {"function": "work", "args": {"seconds": 28, "steps": 7}},
                "limits": ["crm-api", f"tenant:{tenant}"] if number == 0 else [f"tenant:{tenant}"],
                "owner": "sales",
            }
            _put(f"{url}/configs/sync.{tenant}-{number + 1}", entry)


def _put(url: str, body: Any) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    asked = urllib.request.Request(  # noqa: S310
        url, data=json.dumps(body).encode(), headers=headers, method="PUT"
    )
    with urllib.request.urlopen(asked, timeout=10):  # noqa: S310
        pass


@contextmanager
def pod() -> Iterator[str]:
    """A pod with the jobs; its address."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "jobs.py").write_text(JOBS)
        (folder / "tasks.yaml").write_text(TASKS)
        config = folder / "dsched.yaml"
        config.touch(mode=0o600)
        config.write_text(
            f"sqlite: {{path: {folder / 'pictures.db'}}}\n"
            f"api: {{port: {PORT}, admin_token: {TOKEN}}}\nmetrics: {{port: 0}}\n"
            "pod: {name: pod-b}\nworker: {id: w-1, max_concurrent_tasks: 40}\n"
        )
        command = [str(Path(sys.executable).parent / "dsched-run"), "--config", str(config)]
        command += ["--tasks", "tasks.yaml", "--app", "jobs"]
        running = subprocess.Popen(command, cwd=folder, stderr=subprocess.DEVNULL)  # noqa: S603
        try:
            _wait_for(f"http://127.0.0.1:{PORT}/readyz")
            _limited(f"http://127.0.0.1:{PORT}/api/v1")
            yield f"http://127.0.0.1:{PORT}"
        finally:
            running.terminate()
            running.wait(60)


def _wait_for(url: str) -> None:
    end = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(url, timeout=2):  # noqa: S310
                return
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)


def tests() -> ModuleType:
    """Where the tests find a browser, the pictures find one too."""
    sys.path.insert(0, str(ROOT / "tests/support"))
    spec = importlib.util.spec_from_file_location("console_tests", HERE / "tests/conftest.py")
    if spec is None or spec.loader is None:
        raise SystemExit("screenshots: plugins/console/tests/conftest.py is not there")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


async def _prepare(ask: Any, url: str) -> dict[str, str]:
    """A pause to show, and the tasks that are shown."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    reason = {"reason": "the GPUs are away until Monday"}
    await ask.post(f"{url}/api/v1/configs/ml.train_ranker/pause", data=reason, headers=headers)
    found = {}
    for name in ("etl.orders_import", "ledger.eod", "etl.nightly"):
        listed = await ask.get(f"{url}/api/v1/tasks?config={name}&limit=1", headers=headers)
        found[name] = (await listed.json())["items"][0]["id"]
    return found


async def take(url: str, into: Path | None, only: str | None) -> None:
    """The pictures of README and docs; with a folder all pages in both themes, into that. Those of
    one page, if it is named."""
    from playwright.async_api import async_playwright

    browsers = tests()
    if browsers.chromium() is None:
        raise SystemExit(f"screenshots: {browsers.NO_BROWSER}")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=browsers.chromium(),
            args=[*browsers.FLAGS, "--disable-lcd-text"],  # coloured edges double a picture's size
        )
        for theme in ("light", "dark"):
            context = await browser.new_context(
                viewport={"width": 1440, "height": 1000},
                color_scheme=theme,
                locale="en-GB",
                timezone_id="Europe/Berlin",
            )
            logged_in = await context.request.post(f"{url}/api/v1/session", data={"token": TOKEN})
            if logged_in.status != 201:
                raise SystemExit(f"screenshots: the pod answers {await logged_in.text()}")
            tasks = await _prepare(context.request, url)
            await _take_all(context, url, theme=theme, tasks=tasks, into=into, only=only)
            await context.close()
        await browser.close()


def _addresses(tasks: dict[str, str]) -> dict[str, str]:
    """Where each picture is taken, by its name; ``tasks`` are those of some configs."""
    return {
        "now": "",
        "configs": "configs",
        "config": "configs/media.transcode",
        "task": f"tasks/{tasks['ledger.eod']}",
        "failed": f"tasks/{tasks['etl.orders_import']}",
        "run": f"tasks/{tasks['etl.nightly']}",
        "failure": f"tasks/{tasks['etl.nightly']}",
        "parts": f"tasks/{tasks['etl.nightly']}?step=import_shop",
        "workflow": "configs/etl.nightly?tab=graph",
        "tasks": "tasks?state=success",
        "calendar": "calendar",
        "editor": "configs/reports.us_daily/edit?cron_expr=0+0,2+28+*+*",
        "problems": "problems",
        "workers": "workers",
        "limits": "limits",
        "limit": "limits/tenant",
        "calendars": "limits?tab=calendars",
        "cluster": "cluster",
        "narrow": "",
    }


async def _take_all(
    context: Any,
    url: str,
    *,
    theme: str,
    tasks: dict[str, str],
    into: Path | None,
    only: str | None,
) -> None:
    page = await context.new_page()
    for name, address in _addresses(tasks).items():
        if only not in (None, name) or (into is None and (name, theme) not in SHOWN):
            continue
        size = SIZES.get(name, {"width": 1440, "height": 1000})
        await page.set_viewport_size(size)
        await page.goto(f"{url}/ui/{address}")
        await page.wait_for_selector("h1")
        await page.wait_for_selector("[aria-busy=true]", state="detached")
        await page.get_by_text("live", exact=True).wait_for()
        await page.wait_for_timeout(1500)  # for what is drawn after it has been told
        file = (into or INTO) / f"{name}-{theme}.png"
        file.write_bytes(with_palette(await page.screenshot()))
        print(file, file.stat().st_size)
        if into is None and file.stat().st_size > MOST_BYTES:
            raise SystemExit(f"screenshots: {file.name} is larger than {MOST_BYTES} bytes")


def with_palette(png: bytes) -> bytes:
    """A picture of a page in 256 colours: a third of its bytes, and nothing that an eye can see.

    A page has few colours and some thousands of shades at the edges of its letters; a browser
    writes each of them in three bytes.
    """
    from PIL import Image

    picture = Image.open(io.BytesIO(png)).convert("RGB")
    colours = picture.getcolors(picture.width * picture.height) or []
    # Grounds and texts stay as they are to the last bit, and what there is little of comes close.
    often = [colour for _, colour in sorted(colours, reverse=True)[:EXACT]]
    near = picture.quantize(256 - EXACT, method=Image.Quantize.MAXCOVERAGE).getpalette() or []
    palette = [*often, *zip(near[::3], near[1::3], near[2::3], strict=True)][:256]
    # Pillow itself looks for the nearest among some of the palette.
    nearest = {
        colour: min(
            range(len(palette)),
            key=lambda at: sum((a - b) ** 2 for a, b in zip(palette[at], colour, strict=True)),
        )
        for _, colour in colours
    }
    small = Image.new("P", picture.size)
    small.putpalette([part for colour in palette for part in colour])
    small.putdata([nearest[colour] for colour in picture.get_flattened_data()])
    found = io.BytesIO()
    small.save(found, "PNG", optimize=True)
    return found.getvalue()


def main() -> None:
    """Run a pod for a while, and look at it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--into", type=Path, help="a folder for all pages in both themes")
    parser.add_argument("--only", help="the pictures of one page, as run")
    parser.add_argument("--seconds", type=float, default=90.0, help="how long the pod runs before")
    arguments = parser.parse_args()
    (arguments.into or INTO).mkdir(exist_ok=True)
    with pod() as url:
        time.sleep(arguments.seconds)
        asyncio.run(take(url, arguments.into, arguments.only))


if __name__ == "__main__":
    main()
