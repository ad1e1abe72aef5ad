"""Commands that sentences name exist, as those of blocks do (test_blocks.py)."""

import re
import shlex

import click
import pytest
from pages import ROOT, pages, prose_of

from dsched_cli.main import root

NAMED = re.compile(r"`(dsched(?: --local)? [a-z][^`\n]*)`")


def named():
    """Each page with its commands."""
    for page in pages():
        found = sorted(set(NAMED.findall(prose_of(page))))
        if found and page.name != "CHANGELOG.md":
            yield pytest.param(found, id=str(page.relative_to(ROOT)))


@pytest.mark.parametrize("commands", list(named()))
def test_every_command_that_a_page_names_exists(commands):
    for line in commands:
        words = [word for word in shlex.split(line)[1:] if not word.startswith("-")]
        ctx = click.Context(root)
        command = root
        for word in words:
            if not isinstance(command, click.Group):
                break
            command = command.get_command(ctx, word.split("|")[0])
            assert command is not None, f"there is no `{line}`"
        _check_options(line, command)


def _check_options(line, command):
    """Each option that is named is one of the command's, and takes the value that follows it."""
    options = {
        name: param
        for one in (root, command)
        for param in one.params
        for name in (*param.opts, *param.secondary_opts)
    }
    words = shlex.split(line)[1:]
    for at, word in enumerate(words):
        if not word.startswith("--"):
            continue
        name, _, value = word.partition("=")
        for one in name.split("|"):
            assert one in (*options, "--help", "--version"), f"{one} of `{line}` is no option"
        kind = options[name].type if name in options else None
        value = value or (words[at + 1] if at + 1 < len(words) else "")
        if isinstance(kind, click.Choice) and not value.isupper():
            assert value in kind.choices, f"{name} of `{line}` does not take {value!r}"
