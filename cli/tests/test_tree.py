"""The tree of commands: every part has help, wrong words are answered, completion scripts exist."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import click
import pytest

from dsched_cli.main import root
from dsched_cli.tree import NOUNS, SHORT_CUTS

if TYPE_CHECKING:
    from conftest import Done


def _walk(command: click.Command, path: str = "dsched") -> Iterator[tuple[str, click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        ctx = click.Context(command)
        for name in command.list_commands(ctx):
            below = command.get_command(ctx, name)
            assert below is not None
            yield from _walk(below, f"{path} {name}")


ALL = dict(_walk(root))


@pytest.mark.parametrize("path", ALL)
def test_every_command_and_option_has_help_and_no_two_options_are_alike(path: str):
    command = ALL[path]
    assert command.help or command.get_short_help_str(), path
    names = [name for param in command.params for name in param.opts + param.secondary_opts]
    assert len(names) == len(set(names)), path
    for param in command.params:
        if isinstance(param, click.Option):
            assert param.help, (path, param.opts)


def test_every_noun_is_a_group_of_verbs():
    for noun in NOUNS:
        assert isinstance(ALL[f"dsched {noun}"], click.Group)
    assert {"status", "top", "trigger", "logs", "next", "why", "apply", "diff"} <= set(SHORT_CUTS)


def test_what_acts_on_people_asks_why():
    for path in ("config pause", "config skip", "config backfill", "task cancel", "worker drain"):
        command = ALL[f"dsched {path}"]
        assert any("--reason" in one.opts and one.required for one in command.params), path


def test_help_lists_everything_and_the_exit_codes(dsched: "Callable[..., Done]"):
    done = dsched("--help")
    assert done.code == 0
    for name in (*NOUNS, *SHORT_CUTS):
        assert f"\n  {name} " in done.out
    assert "124 wait timed out" in done.out


def test_help_imports_neither_the_scheduler_nor_a_heavy_client():
    code = (
        "import sys\n"
        "from dsched_cli.main import main\n"
        "main(['--help'])\n"
        "heavy = {'aiohttp', 'redis', 'grpc', 'rich', 'yaml', 'asyncio', 'croniter'}\n"
        "core = {name for name in sys.modules if name.startswith('dsched.')} - {'dsched.errors'}\n"
        "print(sorted(heavy & set(sys.modules) | core))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=50, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


COUNTED = """
import gc, sys
from dsched_cli.main import main
begun = []
gc.callbacks.append(lambda phase, about: begun.append(about) if phase == "start" else None)
code = main(["import", "crontab", "-", "--tz", "UTC"])
print(len(begun), file=sys.stderr)
sys.exit(code)
"""


def test_a_command_that_reads_much_looks_for_garbage_a_few_times_only():
    lines = "".join(f"{n % 60} {n % 24} * * * curl http://a.example/{n}\n" for n in range(1500))
    done = subprocess.run(
        [sys.executable, "-c", COUNTED], input=lines, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stderr.split()[-1]) <= 10


def test_a_wrong_command_is_answered_with_the_one_that_was_meant(dsched: "Callable[..., Done]"):
    done = dsched("wrker", "list")
    assert (done.code, done.out) == (2, "")
    assert "did you mean 'worker'?" in done.err
    assert len(done.err.splitlines()) == 3


def test_a_wrong_option_is_a_usage_error_of_three_lines(dsched: "Callable[..., Done]"):
    done = dsched("config", "list", "--nonsense")
    assert done.code == 2
    assert [line.split(":")[0] for line in done.err.splitlines()] == ["dsched", "because", "try"]


def test_no_argument_shows_the_help_and_is_a_usage_error(dsched: "Callable[..., Done]"):
    done = dsched()
    assert (done.code, done.out) == (2, "")
    assert "Nouns:" in done.err


def test_the_version_is_that_of_the_distribution(dsched: "Callable[..., Done]"):
    from importlib.metadata import version

    assert dsched("--version").out == f"dsched {version('dsched-cli')}\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script_of_the_shell(dsched: "Callable[..., Done]", shell: str):
    done = dsched("completion", shell)
    assert done.code == 0, done.err
    assert "_DSCHED_COMPLETE" in done.out


def test_completion_of_commands_needs_no_server(dsched: "Callable[..., Done]"):
    words = {"_DSCHED_COMPLETE": "bash_complete", "COMP_WORDS": "dsched conf", "COMP_CWORD": "1"}
    assert "plain,config" in dsched(env=words).out


def test_a_reader_that_goes_away_is_no_error():
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", f"{sys.executable} -m dsched_cli.main --help | true"],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_help_of_a_priority_says_which_is_first():
    (option,) = [one for one in ALL["dsched task submit"].params if "--priority" in one.opts]
    assert "9 first, 0 last" in str(option.help)  # type: ignore[attr-defined]
