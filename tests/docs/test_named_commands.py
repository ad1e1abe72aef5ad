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
