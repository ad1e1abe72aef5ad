"""Whose an interrupt is: real signals, in programs of their own."""

import asyncio
import subprocess
import sys

import pytest

import dsched
from dsched.engine.interrupts import is_of_a_signal

REAL_TIME = True

PROGRAM = """
import asyncio, os, signal, time
from dsched.engine.interrupts import is_of_a_signal

def spin():
    os.kill(os.getpid(), signal.SIGINT)
    end = time.monotonic() + 5
    while time.monotonic() < end:
        pass

def sleep():
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(5)

def say():
    raise KeyboardInterrupt

def own(number, frame):
    raise KeyboardInterrupt

def judge(act):
    try:
        act()
    except KeyboardInterrupt as error:
        return is_of_a_signal(error)

print(judge(spin), judge(sleep), judge(say))
signal.signal(signal.SIGINT, own)
print(judge(spin), judge(sleep), judge(say))
signal.signal(signal.SIGINT, signal.default_int_handler)
seen = []
async def main():
    os.kill(os.getpid(), signal.SIGINT)  # the first only cancels the main task
    seen.extend([judge(spin), judge(sleep), judge(say)])
try:
    asyncio.run(main())
except (KeyboardInterrupt, asyncio.CancelledError):
    pass
print(*seen)
"""


@pytest.mark.timeout(60)
def test_a_signal_is_told_from_code_that_raises_the_same():
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=50, check=True
    )
    assert done.stdout.split("\n")[:3] == ["True True False"] * 3


@pytest.mark.parametrize("error", [SystemExit(2), asyncio.CancelledError(), ValueError("no")])
def test_nothing_else_is_an_interrupt(error):
    assert not is_of_a_signal(error)


def test_one_that_nobody_knows_the_origin_of_is_the_operators():
    assert is_of_a_signal(KeyboardInterrupt())


INTERRUPTED = """
import asyncio, os, signal, sys, time
import dsched

@dsched.task("interrupted")
async def interrupted():
    for _ in range(2):  # the first only cancels the main task
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.05)
    print("it went on", flush=True)

async def main():
    async with dsched.pod({"store": "sqlite", "sqlite": {"path": sys.argv[1]}}) as pod:
        spec = dsched.TaskSpec(executor="local", payload={"function": "interrupted"})
        await pod.client.submit(spec, task_id="t")
        await asyncio.sleep(60)

asyncio.run(main())
"""


@pytest.mark.slow
@pytest.mark.timeout(60)
async def test_a_signal_that_breaks_into_a_function_is_no_failure_of_its_task(tmp_path):
    path = str(tmp_path / "a.db")
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, path], capture_output=True, text=True, timeout=50
    )
    assert "KeyboardInterrupt" in done.stderr
    assert "it went on" not in done.stdout
    async with dsched.connect({"store": "sqlite", "sqlite": {"path": path}}) as client:
        assert not (await client.get("t")).status.terminal
