"""Where an interrupt comes from: real signals, in programs of their own."""

import asyncio
import subprocess
import sys

import pytest

import dsched
from dsched.engine.worker.interrupts import is_of_a_signal

REAL_TIME = True

PROGRAM = """
import asyncio, os, signal, time
from dsched.engine.worker.interrupts import is_of_a_signal

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


RAISES = """
import asyncio, sys
import dsched

@dsched.task("raises")
async def raises():
    raise KeyboardInterrupt

@dsched.task("lives")
async def lives():
    return "lives"

async def main():
    async with dsched.pod({"store": "sqlite", "sqlite": {"path": sys.argv[1]}}) as pod:
        for function in ("raises", "lives"):
            once = dsched.RetryPolicy(max_retries=0)
            payload = {"function": function}
            spec = dsched.TaskSpec(executor="local", payload=payload, retry=once)
            task = await pod.client.wait(await pod.client.submit(spec), timeout_s=30)
            print(task.result.code)

asyncio.run(main())
"""


@pytest.mark.slow
@pytest.mark.timeout(60)
def test_a_function_that_raises_one_ends_its_attempt_and_the_program_goes_on(tmp_path):
    path = str(tmp_path / "a.db")
    done = subprocess.run(
        [sys.executable, "-c", RAISES, path], capture_output=True, text=True, timeout=50
    )
    assert done.stdout.split() == ["KeyboardInterrupt", "ok"], done.stderr


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
        once = dsched.RetryPolicy(max_retries=0)
        payload = {"function": "interrupted"}
        spec = dsched.TaskSpec(executor="local", payload=payload, retry=once)
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
