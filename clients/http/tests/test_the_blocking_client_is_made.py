"""The blocking client is what `make sync-client` makes of the one that awaits."""

import importlib.util
import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1]
SPEC = importlib.util.spec_from_file_location("make_sync", FOLDER / "make_sync.py")
make_sync = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(make_sync)


@pytest.fixture(scope="module")
def made():
    return make_sync.made()


@pytest.mark.parametrize("name", make_sync.MADE)
def test_each_module_of_the_blocking_client_is_the_one_that_is_made(made, name):
    kept = (make_sync.CLIENT / "sync" / name).read_text()
    assert kept == made[name], "run `make sync-client`"


def test_what_is_made_awaits_nothing(made):
    words = re.compile(r"\b(await|async|Async\w*|aio|aclose)\b")
    assert not [name for name, text in made.items() if words.search(text)]


def test_both_clients_have_the_same_modules():
    names = {
        folder: {p.name for p in (make_sync.CLIENT / folder).glob("*.py")}
        for folder in ("aio", "sync")
    }
    assert names["aio"] == names["sync"] == {*make_sync.MADE, "__init__.py", "transport.py"}
