"""Every hook is documented, and implemented by at least one plugin of our own."""

import inspect

from workspace import ROOT

from dsched.contracts import hookspecs
from dsched.loading import load_catalogue

HOOKS = {
    name: function
    for name, function in inspect.getmembers(hookspecs, inspect.isfunction)
    if name.startswith("dsched_")
}


def test_every_hook_has_a_docstring():
    assert [name for name, function in HOOKS.items() if not inspect.getdoc(function)] == []


def test_every_hook_is_described_for_plugin_authors():
    page = (ROOT / "docs" / "writing-a-plugin.md").read_text()
    assert [name for name in HOOKS if name not in page] == []


def test_every_kind_of_plugin_is_used_by_one_of_ours():
    catalogue = load_catalogue()
    kinds = {
        "dsched_executors": catalogue.executors,
        "dsched_balancers": catalogue.balancers,
        "dsched_stores": catalogue.stores,
        "dsched_observers": catalogue.observers,
        "dsched_services": catalogue.services,
        "dsched_pages": catalogue.pages,
    }
    assert set(HOOKS) == set(kinds)
    assert [name for name, installed in kinds.items() if not installed] == []
