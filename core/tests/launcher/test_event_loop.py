import asyncio
import sys

import pytest
import uvloop

from dsched.launcher.event_loop import run_on

pytestmark = pytest.mark.timeout(20)


async def the_loop() -> asyncio.AbstractEventLoop:
    return asyncio.get_running_loop()


def test_a_pod_runs_on_uvloop_where_it_is_installed() -> None:
    assert isinstance(run_on("auto", the_loop()), uvloop.Loop)


def test_a_pod_runs_on_the_loop_of_asyncio_where_that_is_asked_for() -> None:
    assert not isinstance(run_on("asyncio", the_loop()), uvloop.Loop)


def test_a_pod_runs_on_the_loop_of_asyncio_where_uvloop_is_not_installed(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)
    with caplog.at_level("INFO", "dsched.run"):
        found = run_on("auto", the_loop())
    assert isinstance(found, asyncio.SelectorEventLoop)
    assert "uvloop is not installed" in caplog.text
