"""What the tests of the console share: real pods, and a real Chromium that looks at them."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import attrs
import pytest
from api_pods import serving

NO_BROWSER = (
    "no Chromium: set CHROMIUM to one, put one on the PATH, or have npm (@sparticuz/chromium) or "
    "root (apt); the pages were not looked at"
)
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
OF_NPM = "@sparticuz/chromium"
OF_NPM_VERSION = "153.0.0"
EVENTUALLY_MS = 20_000
AXE = files("axe_playwright_python").joinpath("axe.min.js")
ALL_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
RUN_AXE = """async (rules) =>
  (await axe.run(document, {runOnly: rules, resultTypes: ["violations"]}))
  .violations.map((one) => `${one.id}: ${one.nodes.slice(0, 3).map((node) =>
  node.html + " " + node.failureSummary).join(" | ")}`)"""


@cache
def chromium() -> str | None:
    """A browser: named, installed, out of npm, or of the system; None if there is none."""
    named = os.environ.get("CHROMIUM")
    if named:
        return named
    found = _installed()
    return found or _of_npm() or _of_system()


def _installed() -> str | None:
    return next((found for name in NAMES if (found := shutil.which(name))), None)


def _of_npm() -> str | None:
    """The browser inside a package of npm: unpacked by that package, without root."""
    if not (shutil.which("npm") and shutil.which("node")):
        return None
    folder = Path(tempfile.gettempdir()) / f"dsched-chromium-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    if not (folder / "node_modules" / OF_NPM).exists():
        wanted = f"{OF_NPM}@{OF_NPM_VERSION}"
        done = _quietly(
            ["npm", "install", "--silent", "--no-audit", "--prefix", str(folder), wanted]
        )
        if done is None:
            return None
    code = f"import('{OF_NPM}').then((m) => m.default.executablePath()).then(console.log)"
    return _quietly(["node", "--input-type=module", "-e", code], cwd=folder)


def _of_system() -> str | None:
    if os.name != "posix" or os.getuid() != 0 or not shutil.which("apt-get"):
        return None
    _quietly(["apt-get", "update", "-qq"])
    _quietly(["apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium"])
    return _installed()


def _quietly(command: list[str], cwd: Path | None = None) -> str | None:
    try:
        done = subprocess.run(
            command, cwd=cwd, capture_output=True, text=True, timeout=300, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or "done"


@attrs.define(kw_only=True)
class Watched:
    """A page of the browser, and everything that it complained about."""

    page: Any
    url: str
    complaints: list[str] = attrs.field(factory=list)

    async def open(self, path: str = "") -> Any:
        """Go to a page of the console and wait until it has said what it is."""
        await self.page.goto(f"{self.url}/ui/{path}")
        await self.page.wait_for_selector("h1")
        return self.page

    async def settled(self) -> None:
        """Wait until everything that the page asked for is there."""
        from playwright.async_api import expect

        await expect(self.page.locator("[aria-busy=true]")).to_have_count(0, timeout=EVENTUALLY_MS)

    async def axe(self, rules: list[str] | None = None) -> list[str]:
        """What axe has to say against the page as it stands: nothing, of a page open to all."""
        await self.page.evaluate(AXE.read_text())
        found: list[str] = await self.page.evaluate(RUN_AXE, rules or ALL_RULES)
        return found


@attrs.frozen(kw_only=True)
class Browsing:
    """Opens windows of one browser."""

    browser: Any
    api: Any

    @asynccontextmanager
    async def window(
        self, *, scope: str | None = "admin", url: str | None = None, **how: Any
    ) -> AsyncIterator[Watched]:
        """A window that is logged in with a token of a scope (None: not at all)."""
        how = {"viewport": {"width": 1280, "height": 900}, "locale": "en-GB"} | how
        context = await self.browser.new_context(**how)
        try:
            if scope is not None:
                await self._log_in(context, scope, url or self.api.url)
            page = await context.new_page()
            page.set_default_timeout(EVENTUALLY_MS)
            watched = Watched(page=page, url=url or self.api.url)
            _watch(watched)
            yield watched
        finally:
            await context.close()

    async def _log_in(self, context: Any, scope: str, url: str) -> None:
        token = await self.api.token_of(scope)
        answer = await context.request.post(f"{url}/api/v1/session", data={"token": token})
        assert answer.status == 201, await answer.text()


def _watch(watched: Watched) -> None:
    def console(message: Any) -> None:
        if message.type in ("error", "warning"):
            watched.complaints.append(f"{message.type}: {message.text}")

    def request(asked: Any) -> None:
        if not asked.url.startswith((watched.url, "data:", "blob:")):
            watched.complaints.append(f"asked elsewhere: {asked.url}")

    watched.page.on("console", console)
    watched.page.on("pageerror", lambda error: watched.complaints.append(f"raised: {error}"))
    watched.page.on("request", request)
    watched.page.on("dialog", lambda one: watched.complaints.append(f"a dialog: {one.message}"))


Browse = Callable[..., AbstractAsyncContextManager[Browsing]]


@asynccontextmanager
async def browsing(api: Any) -> AsyncIterator[Browsing]:
    """A browser for the pages of an API."""
    from playwright.async_api import async_playwright

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        try:
            yield Browsing(browser=browser, api=api)
        finally:
            await browser.close()


@pytest.fixture
def browse() -> Browse:
    """Opens a browser: see `browsing`. Skips where there is none."""
    if chromium() is None:
        pytest.skip(NO_BROWSER)
    return browsing


@pytest.fixture
async def cluster() -> AsyncIterator[Any]:
    """A pod that serves, schedules and works."""
    async with serving(roles=("api", "scheduler", "worker")) as served:
        yield served


@pytest.fixture
async def console(browse: Browse, cluster: Any) -> AsyncIterator[Browsing]:
    """A browser at that pod."""
    async with browse(cluster) as opened:
        yield opened
