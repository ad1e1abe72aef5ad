"""What child processes print: it becomes lines of their tasks, and harms nobody."""

import asyncio
import logging
import os
import time
from datetime import timedelta

import dsched_local_test_app  # noqa: F401 - registers its functions
import pytest
from dsched_local_test_kit import APP, pids_in, until

from dsched.contracts import TaskFailed
from dsched.contracts.store.tasklogs import MAX_LINE_BYTES, LineLevel, marked_level
from dsched_executor_local.child_output import MAX_TURN_LINES, LineSplitter


class Lines(logging.Handler):
    """The records of one attempt's logger as (level of the line, text)."""

    def __init__(self):
        super().__init__()
        self.found = []

    def emit(self, record):
        level = marked_level(vars(record)) or LineLevel(record.levelname.lower())
        self.found.append((level, record.getMessage()))

    def of(self, level):
        return [text for kind, text in self.found if kind is level]


@pytest.fixture
def lines():
    handler = Lines()
    logger = logging.getLogger("dsched.test.task")
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield handler
    logger.removeHandler(handler)
    logger.setLevel(before)


async def test_what_a_child_prints_becomes_lines_before_its_result_is_there(opened, lines):
    async with opened(app=[APP]) as run:
        assert (await run("app.prints")).data == "printed"
        assert lines.of(LineLevel.STDOUT) == ["to stdout: é", "no end of line"]
        assert lines.of(LineLevel.STDERR) == ["to stderr"]
        assert lines.of(LineLevel.INFO) == ["by the logger"]


async def test_the_lines_are_those_of_the_attempt_that_printed_them(opened, lines, tmp_path):
    async with opened(app=[APP], max_processes=1) as run:
        await run("app.leaves_a_printer", [str(tmp_path / "go")])
        (tmp_path / "go").touch()
        await until(lambda: (tmp_path / "go.said").exists(), "the thread to print")
        await run("app.prints")
    assert "from a thread left behind" not in lines.of(LineLevel.STDOUT)


async def test_what_a_killed_child_has_printed_is_kept(opened, lines, tmp_path):
    async with opened(app=[APP], kill_grace=timedelta(seconds=0.5)) as run:
        attempt = asyncio.create_task(run("app.prints_and_dies", [str(tmp_path / "pid")]))
        await pids_in(tmp_path / "pid")
        attempt.cancel()
        await asyncio.wait([attempt])
        assert lines.of(LineLevel.STDOUT) == ["last words"]


async def test_what_a_crashed_child_has_printed_is_kept(opened, lines):
    async with opened(app=[APP]) as run:
        with pytest.raises(Exception, match="SIGSEGV"):
            await run("app.crashes_in_c")
        assert lines.of(LineLevel.STDOUT) == ["about to crash"]


async def test_bytes_that_are_no_text_become_text(opened, lines):
    async with opened(app=[APP]) as run:
        await run("app.prints_bytes")
    printed = lines.of(LineLevel.STDOUT)
    assert printed[-1] == "\x1b[31mred\x00"
    assert "\ufffd" in printed[1]
    assert len(printed) == 3


async def test_a_line_of_a_megabyte_is_cut_and_holds_no_memory(opened, lines):
    async with opened(app=[APP]) as run:
        await run("app.prints_a_megabyte")
    cut, after = lines.of(LineLevel.STDOUT)
    assert cut.startswith("x" * MAX_LINE_BYTES)
    assert cut.endswith(f"... (cut; {2**20 - MAX_LINE_BYTES:,} bytes more)")
    assert after == "after"
    assert lines.of(LineLevel.STDERR) == ["small"]


async def test_a_flood_keeps_its_ends_and_says_what_is_missing(opened, lines):
    async with opened(app=[APP]) as run:
        await run("app.floods", [100_000])
    printed = lines.of(LineLevel.STDOUT)
    assert (printed[0], printed[-1]) == ("line 0", "line 99999")
    missing = sum(int(text.split()[0].replace(",", "")) for text in lines.of(LineLevel.DROPPED))
    assert len(printed) + missing == 100_000


async def test_a_child_that_prints_for_ever_leaves_the_loop_to_others(opened, lines, tmp_path):
    async with opened(app=[APP], kill_grace=timedelta(seconds=0.5)) as run:
        attempt = asyncio.create_task(run("app.prints_for_ever", [str(tmp_path / "pid")]))
        await pids_in(tmp_path / "pid")
        begun_s = time.monotonic()
        turns = 0
        while time.monotonic() - begun_s < 0.5:
            await asyncio.sleep(0)
            turns += 1
        assert turns > 200
        attempt.cancel()
        await asyncio.wait([attempt], timeout=10)
        assert attempt.cancelled()


async def test_without_capture_children_print_where_the_worker_does(opened, lines, capfd):
    async with opened(app=[APP], capture_output=False) as run:
        await run("app.prints")
    printed = capfd.readouterr()
    assert printed.out == "to stdout: é\nno end of line"
    assert printed.err == "to stderr\n"
    assert lines.of(LineLevel.STDOUT) == []


async def test_no_pipe_is_left_open(opened, lines):
    def pipes():
        return sum("pipe:" in os.readlink(f"/proc/self/fd/{fd}") for fd in _fds())

    async with opened(app=[APP]) as run:
        before = pipes()
        await run("app.prints")
        assert pipes() == before + 2
        with pytest.raises(Exception, match="SIGSEGV"):
            await run("app.crashes_in_c")
    assert pipes() == before


def _fds():
    return [fd for fd in os.listdir("/proc/self/fd") if os.path.islink(f"/proc/self/fd/{fd}")]


def test_lines_are_split_wherever_the_bytes_are():
    splitter = LineSplitter()
    found = []
    for part in (b"a", b"bc\nd", b"\n", b"\n\ne", "é\n".encode()[:1], "é\n".encode()[1:]):
        lines, left_out = splitter.feed(part)
        found += lines
        assert left_out == 0
    assert found == ["abc", "d", "", "", "eé"]
    assert splitter.rest() is None
    splitter.feed(b"open")
    assert splitter.rest() == "open"


def test_of_many_lines_at_once_the_first_and_the_last_are_kept():
    lines, left_out = LineSplitter().feed(b"".join(b"%d\n" % n for n in range(10_000)) + b"rest")
    assert len(lines) == MAX_TURN_LINES + 1
    assert left_out == 10_000 - len(lines)
    assert lines[0] == "0"
    assert lines[250:252] == ["250", "9750"]
    assert lines[-1] == "9999"


async def test_what_a_child_writes_to_logging_becomes_lines(opened, lines):
    async with opened(app=[APP]) as run:
        await run("app.logs")
        assert lines.found == [(LineLevel.INFO, "order 7")]


async def test_without_capture_logging_in_a_child_is_the_applications_affair(opened, lines):
    async with opened(app=[APP], capture_output=False) as run:
        await run("app.logs")
        assert lines.found == []


async def test_the_traceback_of_a_failure_in_a_child_becomes_lines_and_its_cause(opened, lines):
    logging.getLogger("dsched.test.task").setLevel(logging.DEBUG)
    async with opened(app=[APP]) as run:
        with pytest.raises(TaskFailed) as caught:
            await run("app.divide")
        rows = lines.of(LineLevel.ERROR)
        assert rows[-1] == "ZeroDivisionError: division by zero"
        assert any("in divide" in row for row in rows)
        assert "in divide" in str(caught.value.__cause__)
