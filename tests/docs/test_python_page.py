"""The programs of the page on Python, run as a reader would."""

import subprocess
import sys

import pytest
from pages import ROOT

import dsched

NATIVE = ROOT / "docs/examples/native"

pytestmark = pytest.mark.slow


def test_the_program_says_what_the_page_lets_expect(tmp_path):
    command = [sys.executable, str(NATIVE / "program.py")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "5",
        "5",
        "2 Welcome, Ada: 42",
        "OK",
        "[0, 2, 4]",
        "drained",
    ]


async def test_the_script_asks_a_pod_of_another_process(tmp_path):
    run = [sys.executable, "-m", "dsched.launcher.run", "--app", "shop", "--role"]
    pod = subprocess.Popen(
        [*run, "scheduler,worker", "--store", "sqlite"],
        cwd=NATIVE,
        env={"PATH": "", "DSCHED_SQLITE__PATH": str(tmp_path / "shop.db")},
        stderr=subprocess.DEVNULL,
    )
    try:
        script = [sys.executable, str(NATIVE / "script.py")]
        done = subprocess.run(script, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    finally:
        pod.terminate()
        assert pod.wait(40) == 0
    assert (done.returncode, done.stdout) == (0, "5\nOK\n"), done.stderr


async def test_what_the_page_says_of_a_schedule_is_declared(tmp_path):
    command = [sys.executable, str(NATIVE / "program.py")]
    subprocess.run(command, cwd=tmp_path, capture_output=True, check=True, timeout=60)
    async with dsched.connect({"sqlite": {"path": str(tmp_path / "shop.db")}}) as client:
        config = (await client.get_config("shop.nightly")).config
    assert (config.cron_expr, config.timezone) == ("0 2 * * *", "Europe/Berlin")
