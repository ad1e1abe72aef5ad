"""A function whose asyncio task leaves the interpreter ends its attempt, not the program around
it."""

import asyncio
import subprocess
import sys
import textwrap

import pytest

from dsched.contracts.executor import TaskFailed
from dsched.engine.worker.exits import exits_kept_in, mark_attempt

REAL_TIME = True

HOST = """
import asyncio, os, signal, sys
import dsched
from dsched.model import RetryPolicy

async def child(how, after):
    await asyncio.sleep(after)
    if how == "exit":
        sys.exit(3)
    raise KeyboardInterrupt("of the function")

@dsched.task("in_a_group")
async def in_a_group(how, after):
    async with asyncio.TaskGroup() as group:
        group.create_task(child(how, after))

@dsched.task("awaited")
async def awaited(how, after):
    await asyncio.gather(child(how, after), asyncio.sleep(60))

@dsched.task("forgotten")
async def forgotten(how, after):
    asyncio.create_task(child(how, after))
    await asyncio.sleep(after + 0.2)

@dsched.task("interrupted")
async def interrupted(how, after):
    await asyncio.create_task(under_a_signal())

async def under_a_signal():
    await asyncio.sleep(0)
    os.kill(os.getpid(), signal.SIGINT)
    for _ in range(10**7):
        pass

async def host(function, how, after):
    async with dsched.pod({"store": "sqlite", "sqlite": {"path": "a.db"}}) as pod:
        spec = dsched.TaskSpec(
            executor="local",
            payload={"function": function, "args": [how, float(after)]},
            retry=RetryPolicy(max_retries=0),
        )
        task = await pod.client.wait(await pod.client.submit(spec), timeout_s=30)
        print(task.status.value, task.result.code if task.result else "")
    print("factory", asyncio.get_running_loop().get_task_factory())

if sys.argv[1] == "uvloop":
    import uvloop
    uvloop.run(host(*sys.argv[2:]))
else:
    asyncio.run(host(*sys.argv[2:]))
print("the program goes on")
"""


def run_host(tmp_path, *args):
    program = tmp_path / "host.py"
    program.write_text(textwrap.dedent(HOST))
    return subprocess.run(
        [sys.executable, program.name, *args],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=50,
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("loop", "function", "how", "after", "code"),
    [
        ("asyncio", "in_a_group", "exit", "0", "failed ExceptionGroup"),
        ("asyncio", "awaited", "exit", "0.1", "failed SystemExit"),
        ("asyncio", "forgotten", "exit", "0.1", "success ok"),
        ("asyncio", "awaited", "keyboard", "0", "failed KeyboardInterrupt"),
        ("uvloop", "awaited", "exit", "0.1", "failed SystemExit"),
    ],
)
def test_the_program_survives_what_an_asyncio_task_of_a_function_exits_with(
    tmp_path, loop, function, how, after, code
):
    done = run_host(tmp_path, loop, function, how, after)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [code, "factory None", "the program goes on"]


@pytest.mark.slow
def test_an_operators_interrupt_ends_the_program_though_a_function_runs(tmp_path):
    done = run_host(tmp_path, "asyncio", "interrupted", "", "0")
    assert done.returncode != 0
    assert "KeyboardInterrupt" in done.stderr
    assert "the program goes on" not in done.stdout


async def raises(error):
    raise error


async def in_an_attempt(make):
    mark_attempt()
    return await make()


async def test_only_tasks_of_functions_are_kept_in():
    made = []

    def own_factory(loop, coro, **more):
        made.append(coro)
        return asyncio.Task(coro, loop=loop, **more)

    loop = asyncio.get_running_loop()
    loop.set_task_factory(own_factory)
    try:
        with exits_kept_in(loop), exits_kept_in(loop):
            with pytest.raises(TaskFailed, match="raise an exception instead"):
                await in_an_attempt_of_its_own(lambda: asyncio.create_task(raises(SystemExit(3))))
            plain = raises(ValueError("no"))
            with pytest.raises(ValueError, match="no"):
                await asyncio.create_task(plain)
            assert made[-1] is plain
        assert loop.get_task_factory() is own_factory
    finally:
        loop.set_task_factory(None)


async def in_an_attempt_of_its_own(make):
    await asyncio.create_task(in_an_attempt(make))


async def test_a_task_that_is_cancelled_before_its_first_step_is_ended_like_any_other():
    async def cancels():
        child = asyncio.create_task(raises(SystemExit(3)), name="child")
        child.cancel()
        assert (child.get_name(), "raises" in repr(child)) == ("child", True)
        with pytest.raises(asyncio.CancelledError):
            await child

    with exits_kept_in(asyncio.get_running_loop()):
        await in_an_attempt_of_its_own(cancels)


async def test_pods_that_begin_and_end_in_any_order_leave_the_loop_as_it_was():
    loop = asyncio.get_running_loop()
    first, second = exits_kept_in(loop), exits_kept_in(loop)
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert loop.get_task_factory() is not None
    second.__exit__(None, None, None)
    assert loop.get_task_factory() is None
