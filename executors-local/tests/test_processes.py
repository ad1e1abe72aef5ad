"""Functions in child processes: warm reuse, crashes, limits, a clean environment, JSON both
ways."""

import asyncio
import logging
import os
import sys
from datetime import timedelta
from typing import Any

import dsched_local_test_app  # noqa: F401 - registers its functions in this process
import pytest
from dsched_local_test_kit import APP, Context, Opener, is_alive, pids_in, until
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dsched.contracts import TaskFailed
from dsched.functions.registry import Registry
from dsched.model import TaskResult

pytestmark = pytest.mark.slow

SHORT = timedelta(milliseconds=50)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(exclude_categories=["Cs"])),
)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text("abü\u2028\0"), inner)
)


async def failure(running: Any) -> TaskFailed:
    with pytest.raises(TaskFailed) as caught:
        await running
    return caught.value


async def test_a_function_runs_in_another_process_that_is_used_again(opened: Opener) -> None:
    async with opened() as run:
        first = await run("app.pid")
        second = await run("app.pid")
        assert first.data == second.data != os.getpid()
        assert (await run("app.echo_async", [5])).data == 5


async def test_children_import_the_modules_of_app_before_the_first_function(
    opened: Opener,
) -> None:
    async with opened(app=[APP]) as run:
        assert (await run("app.echo", "hello")).data == "hello"


async def test_functions_run_at_once_but_never_more_than_max_processes(opened: Opener) -> None:
    async with opened(max_processes=2) as run:
        async with asyncio.TaskGroup() as group:
            runs = [group.create_task(run("app.pid")) for _ in range(8)]
            await asyncio.sleep(0)
            assert len(run.executor.processes.pids) <= 2
        assert 1 <= len({r.result().data for r in runs}) <= 2


async def test_a_child_is_replaced_after_its_share_of_functions(opened: Opener) -> None:
    async with opened(max_tasks_per_process=2) as run:
        pids = [(await run("app.pid")).data for _ in range(4)]
        assert pids[0] == pids[1] != pids[2] == pids[3]
        await until(lambda: not is_alive(pids[0]), "the used-up child to end")


async def test_an_idle_child_ends_and_a_new_one_starts_on_demand(opened: Opener) -> None:
    async with opened(process_idle=SHORT) as run:
        pid = (await run("app.pid")).data
        await until(lambda: not run.executor.processes.pids, "the idle child to end")
        assert not is_alive(pid)
        assert (await run("app.pid")).data != pid


async def test_a_child_taken_again_in_time_is_not_ended_for_idleness(
    opened: Opener, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(process_idle=SHORT) as run:
        pid = (await run("app.pid")).data
        assert (await run("app.nap", [4 * SHORT.total_seconds()])).data == pid
    assert "Exception in callback" not in caplog.text


async def test_an_idle_child_with_a_leftover_thread_is_killed(opened: Opener) -> None:
    async with opened(process_idle=SHORT, kill_grace=2 * SHORT) as run:
        assert (await run("app.leave_a_thread")).data == "left"
        await until(lambda: not run.executor.processes.pids, "the child to be killed")


async def test_a_child_that_died_while_idle_costs_no_attempt(
    opened: Opener, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened() as run:
        pid = (await run("app.pid")).data
        os.kill(pid, 9)
        await until(lambda: not run.executor.processes.pids, "the loss to be noticed")
        assert "SIGKILL" in caplog.text
        assert (await run("app.pid")).data != pid


async def test_closing_leaves_no_process(opened: Opener) -> None:
    async with opened(max_processes=2) as run:
        await asyncio.gather(run("app.pid"), run("app.pid"))
        pids = list(run.executor.processes.pids)
        assert pids
    assert not any(map(is_alive, pids))
    with pytest.raises(RuntimeError, match="closed"):
        await run("app.pid")


async def test_the_facts_progress_and_log_lines_cross(
    opened: Opener, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "dsched.test.task")
    context = Context()
    async with opened() as run:
        facts = (await run("app.facts", context=context)).data
        await run("app.talk", context=context)
    assert facts == {
        "task_id": "config@1000",
        "config_id": "config",
        "attempt": 2,
        "deadline": context.deadline.isoformat(),
        "key": "config@1000",
        "epoch": 7,
        "worker_id": "worker-1",
        "in_time": True,
        "cancelled": False,
        "scheduled": "2027-01-15T08:00:00+00:00",
        "labels": {"team": "billing"},
    }
    assert context.said == [(1.0, 4.0, "begun"), (4.0, None, "")]
    lines = [(r.levelname, r.getMessage()) for r in caplog.records if r.name == "dsched.test.task"]
    assert lines == [("WARNING", "half done")]


async def test_what_an_earlier_function_left_behind_cannot_speak_for_the_next(
    opened: Opener,
) -> None:
    context = Context()
    async with opened() as run:
        await run("app.talk")
        await run("app.talk_as_the_last_one", context=context)
    assert context.said == []


async def test_a_task_result_is_kept_as_it_is(opened: Opener) -> None:
    async with opened() as run:
        assert await run("app.result") == TaskResult(code="done", message="well", data=[1])


@pytest.mark.parametrize("function", ["app.not_json", "app.too_large"])
async def test_a_return_value_that_cannot_be_kept_fails_for_good(
    opened: Opener, function: str
) -> None:
    async with opened() as run:
        failed = await failure(run(function))
    assert (failed.code, failed.retryable) == ("result", False)
    assert f"function '{function}' returned what cannot be kept" in failed.message


async def test_a_task_failed_crosses_with_all_its_fields(opened: Opener) -> None:
    async with opened() as run:
        failed = await failure(run("app.fail_as_told"))
        odd = await failure(run("app.fail_with_odd_data"))
    assert failed.message == "no"
    assert (failed.code, failed.retryable, failed.retry_after) == ("nope", False, 2.5)
    assert failed.data == {"why": 1}
    assert odd.data is None
    assert "its data was left out" in odd.message


async def test_an_exception_keeps_its_class_and_traceback_as_text(opened: Opener) -> None:
    async with opened() as run:
        failed = await failure(run("app.divide"))
        pid = run.executor.processes.pids
        assert (await run("app.echo", [1])).data == 1
        assert run.executor.processes.pids == pid
    assert (failed.code, failed.retryable) == ("ZeroDivisionError", True)
    assert failed.message == "ZeroDivisionError: division by zero"
    assert "in divide" in failed.data["traceback"]


async def test_sys_exit_ends_the_attempt_not_the_child(opened: Opener) -> None:
    async with opened() as run:
        failed = await failure(run("app.leave"))
        assert (await run("app.echo", [1])).data == 1
    assert failed.code == "SystemExit"


@pytest.mark.parametrize(
    ("function", "ending"),
    [
        ("app.die", "exited with status 3"),
        ("app.kill_myself", "was killed by SIGKILL"),
        ("app.hang_up", "exited with status 1"),
        ("app.talk_nonsense", "was killed by SIGTERM"),
    ],
)
async def test_a_child_that_dies_or_breaks_off_fails_only_its_own_attempt(
    opened: Opener, function: str, ending: str
) -> None:
    async with opened(max_processes=2, kill_grace=10 * SHORT) as run:
        neighbour = asyncio.ensure_future(run("app.echo", ["well"]))
        failed = await failure(run(function))
        assert (await neighbour).data == "well"
        assert (await run("app.echo", ["again"])).data == "again"
    assert (failed.code, failed.retryable) == ("crashed", True)
    assert ending in failed.message


async def test_a_fork_that_holds_the_connection_does_not_hide_the_death(
    opened: Opener, tmp_path: Any
) -> None:
    async with opened() as run:
        failed = await failure(run("app.fork_and_die", [str(tmp_path / "mark")]))
        [fork] = await pids_in(tmp_path / "mark")
        await until(lambda: not is_alive(fork), "the fork to be killed with its group")
    assert "exited with status 5" in failed.message


async def test_a_fork_that_returns_into_the_child_gives_no_second_answer(opened: Opener) -> None:
    async with opened() as run:
        assert (await run("app.fork_and_return")).data == run.executor.processes.pids[0]
        assert (await run("app.echo", [1])).data == 1


async def test_memory_over_the_limit_fails_only_that_attempt(opened: Opener) -> None:
    async with opened(process_memory_bytes=512 * 1024**2) as run:
        before = (await run("app.pid")).data
        failed = await failure(run("app.eat", [2 * 1024**3]))
        assert (failed.code, failed.retryable) == ("MemoryError", True)
        assert (await run("app.eat", [1024])).data == 1024
        assert (await run("app.pid")).data != before, "memory may be short in the old one still"


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
async def test_a_child_has_its_own_session_limits_and_few_open_files(opened: Opener) -> None:
    ours = os.open(os.devnull, os.O_RDONLY)
    os.set_inheritable(ours, True)
    try:
        async with opened(process_memory_bytes=512 * 1024**2) as run:
            limits = (await run("app.limits")).data
    finally:
        os.close(ours)
    assert limits["memory"] == 512 * 1024**2
    assert limits["core"] == 0
    assert limits["no_new_privs"] == "1"
    assert limits["session"] is True
    # Some builds of libffi, which ctypes loads, keep their own file open.
    inherited = [path for path in limits["open"] if "/libffi." not in path]
    assert len(inherited) <= 5, "standard streams, the connection, and the listing itself"


async def test_the_environment_of_a_child_holds_no_secret(
    opened: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets = {
        "DSCHED_REDIS__ADDR": "localhost", "GITHUB_TOKEN": "t", "DB_PASS": "p", "PGPASSWORD": "p",
        "MYSQL_PWD": "p", "AWS_ACCESS_KEY_ID": "k", "SSH_AUTH_SOCK": "s",
        "BROKER": "redis://:pw@host/0", "MyApiKey": "k",
    }  # fmt: skip
    plain = {"LANG_OF_TEST": "de", "MONKEY": "banana", "SITE": "https://example.com/x"}
    for name, value in {**secrets, **plain, "WANTED_TOKEN": "yes"}.items():
        monkeypatch.setenv(name, value)
    async with opened(pass_env=["WANTED_TOKEN"]) as run:
        seen = (await run("app.environment")).data
    assert seen.keys().isdisjoint(secrets)
    assert plain.items() <= seen.items()
    assert seen["WANTED_TOKEN"] == "yes"
    assert seen["PATH"] == os.environ["PATH"]


async def test_json_goes_in_and_comes_out_unchanged(opened: Opener) -> None:
    async with opened() as run:
        loop = asyncio.get_running_loop()

        @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
        @given(JSON)
        def check(value: Any) -> None:
            future = asyncio.run_coroutine_threadsafe(run("app.echo", [value]), loop)
            assert future.result(10).data == value

        await asyncio.to_thread(check)


async def test_the_largest_payload_and_result_cross(opened: Opener) -> None:
    text = "ü" * 130_000
    async with opened() as run:
        assert (await run("app.echo", [text])).data == text
        assert len((await run("app.large")).data) == 500_000


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
async def test_children_come_and_go_without_leaving_open_files(opened: Opener) -> None:
    async def come_and_go() -> int:
        async with opened(max_tasks_per_process=1) as run:
            await run("app.pid")
            await run("app.pid")
            await failure(run("app.die"))
        return len(os.listdir("/proc/self/fd"))

    first = await come_and_go()
    assert await come_and_go() == first


async def test_a_function_whose_module_children_cannot_import_is_named(opened: Opener) -> None:
    registry = Registry()

    @registry.task("nowhere", isolation="process")
    def nowhere() -> None: ...

    nowhere_else = registry.get("nowhere")
    assert nowhere_else is not None
    async with opened(registry) as run:
        failed = await failure(run("nowhere"))
    assert failed.code in ("ModuleNotFoundError", "unknown_function")


async def test_an_app_that_does_not_import_in_children_says_so(opened: Opener) -> None:
    async with opened(app=["no_such_module_here"]) as run:
        failed = await failure(run("app.echo", [1]))
        assert run.executor.processes.pids == []
    assert failed.code == "child_start"
    assert "no_such_module_here" in failed.message
    assert "pass_env" in failed.message


async def test_a_child_that_starts_too_slowly_fails_the_attempt_and_is_killed(
    opened: Opener,
) -> None:
    async with opened(process_start=SHORT / 50) as run:
        failed = await failure(run("app.echo", [1]))
        assert run.executor.processes.pids == []
    assert failed.code == "child_start"
    assert "process_start" in failed.message
