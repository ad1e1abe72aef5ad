"""The application of the tests: functions that run in child processes, imported there by name."""

import asyncio
import ctypes
import logging
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import dsched
from dsched import FunctionContext, TaskFailed
from dsched.model import TaskResult

LAST: list[FunctionContext] = []


def in_process(function: Any) -> Any:
    return dsched.task(f"app.{function.__name__}", isolation="process")(function)


@in_process
def echo(value: Any) -> Any:
    return value


@in_process
async def echo_async(value: Any) -> Any:
    await asyncio.sleep(0)
    return value


@in_process
def pid() -> int:
    return os.getpid()


@in_process
def nap(seconds: float) -> int:
    time.sleep(seconds)
    return os.getpid()


@in_process
def facts(ctx: FunctionContext) -> Any:
    return {
        "task_id": ctx.task_id,
        "config_id": ctx.config_id,
        "attempt": ctx.attempt,
        "deadline": ctx.deadline.isoformat(),
        "key": ctx.idempotency_key,
        "epoch": ctx.epoch,
        "worker_id": ctx.worker_id,
        "in_time": 0 < ctx.remaining() <= 60,
        "cancelled": ctx.cancelled,
        "scheduled": ctx.scheduled_time.isoformat(),
        "labels": dict(ctx.labels),
    }


@in_process
def talk(ctx: FunctionContext) -> None:
    LAST[:] = [ctx]
    ctx.progress(1, 4, "begun")
    ctx.logger.warning("half %s", "done")
    ctx.logger.debug("not wanted at this level")
    ctx.progress(4)


@in_process
def talk_as_the_last_one() -> str:
    LAST[0].progress(99, note="from the grave")
    return "quiet"


@in_process
def result() -> TaskResult:
    return TaskResult(code="done", message="well", data=[1])


@in_process
def not_json() -> Any:
    return {1, 2}


@in_process
def too_large() -> str:
    return "x" * (1024 * 1024)


@in_process
def large() -> str:
    return "ü" * 500_000


@in_process
def fail_as_told() -> None:
    raise TaskFailed("no", "nope", retryable=False, retry_after=2.5, data={"why": 1})


@in_process
def fail_with_odd_data() -> None:
    raise TaskFailed("no", data=object())


@in_process
def divide() -> float:
    return 1 / 0


@in_process
def leave() -> None:
    sys.exit(4)


@in_process
def die() -> None:
    os._exit(3)


@in_process
def kill_myself() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@in_process
def hang_up() -> None:
    os.closerange(3, 100)


@in_process
def talk_nonsense() -> None:
    for fd in range(3, 20):
        try:
            os.write(fd, b"\x00\x00\x00\x04nope")
        except OSError:
            continue
    time.sleep(60)


@in_process
def eat(size: int) -> int:
    return len(bytearray(size))


@in_process
def limits() -> Any:
    no_new_privs = Path("/proc/self/status").read_text().split("NoNewPrivs:")[1].split()[0]
    return {
        "memory": resource.getrlimit(resource.RLIMIT_AS)[0],
        "core": resource.getrlimit(resource.RLIMIT_CORE)[0],
        "no_new_privs": no_new_privs,
        "session": os.getsid(0) == os.getpid(),
        "open": [os.path.realpath(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")],
    }


@in_process
def environment() -> Any:
    return dict(os.environ)


@in_process
def sleep(mark: str) -> None:
    Path(mark).write_text(f"{os.getpid()}")
    time.sleep(60)


@in_process
def sleep_and_tidy(mark: str) -> None:
    Path(mark).write_text(f"{os.getpid()}")
    try:
        time.sleep(60)
    finally:
        Path(f"{mark}.tidy").touch()


@in_process
async def sleep_async_and_tidy(mark: str) -> None:
    Path(mark).write_text(f"{os.getpid()}")
    try:
        await asyncio.sleep(60)
    finally:
        Path(f"{mark}.tidy").touch()


@in_process
def ignore_sigterm(mark: str) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    Path(mark).write_text(f"{os.getpid()}")
    time.sleep(60)


@in_process
def hold_the_interpreter(mark: str) -> None:
    Path(mark).write_text(f"{os.getpid()}")
    ctypes.PyDLL(None).sleep(60)  # C code that never lets the interpreter go


@in_process
def spawn_and_sleep(mark: str) -> None:
    script = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
        "print('up', flush=True); time.sleep(60)"
    )
    other = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    assert other.stdout is not None
    other.stdout.readline()
    Path(mark).write_text(f"{os.getpid()} {other.pid}")
    time.sleep(60)


@in_process
def fork_and_die(mark: str) -> None:
    if os.fork() == 0:
        Path(mark).write_text(f"{os.getpid()}")
        time.sleep(60)
        os._exit(0)
    while not Path(mark).exists() or not Path(mark).read_text():
        time.sleep(0.01)
    os._exit(5)


@in_process
def fork_and_return() -> int:
    return os.fork() and os.getpid()


@in_process
def leave_a_thread() -> str:
    threading.Thread(target=time.sleep, args=(60,)).start()
    return "left"


@in_process
def prints(ctx: FunctionContext) -> str:
    print("to stdout: é")
    print("to stderr", file=sys.stderr)
    ctx.logger.info("by the logger")
    print("no end of line", end="")
    return "printed"


@in_process
def prints_and_dies(mark: str) -> None:
    print("last words", end="")
    Path(mark).write_text(f"{os.getpid()}")
    time.sleep(60)


@in_process
def crashes_in_c() -> None:
    print("about to crash")
    ctypes.string_at(0)


@in_process
def prints_bytes() -> None:
    os.write(1, bytes(range(256)) + b"\xff\xfe\n\x1b[31mred\x00\r\n")


@in_process
def prints_a_megabyte() -> None:
    os.write(2, b"small\n")
    sys.stdout.write("x" * 2**20 + "\nafter\n")


@in_process
def floods(lines: int) -> None:
    sys.stdout.write("".join(f"line {n}\n" for n in range(lines)))


@in_process
def prints_for_ever(mark: str) -> None:
    Path(mark).write_text(f"{os.getpid()}")
    data = b"y\n" * 32768
    while True:
        os.write(1, data)


@in_process
def leaves_a_printer(mark: str) -> None:
    def late() -> None:
        while not Path(mark).exists():
            time.sleep(0.01)
        print("from a thread left behind")
        Path(f"{mark}.said").touch()

    threading.Thread(target=late, daemon=True).start()


@in_process
def waits_for(mark: str) -> None:
    while not Path(mark).exists():
        time.sleep(0.01)


@in_process
def logs() -> None:
    logging.getLogger("shop.orders").info("order %d", 7)
    logging.getLogger("shop.orders").debug("too small")


SET_UP: list[str] = []


def set_up() -> None:
    SET_UP.append("once")


def cannot_set_up() -> None:
    raise RuntimeError("no database")


@in_process
def how_set_up() -> list[str]:
    return SET_UP
