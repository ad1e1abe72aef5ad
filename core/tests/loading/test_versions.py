"""What was made for another version of the core is refused before it is imported."""

import sys
from collections.abc import Callable
from typing import Any

import pytest

from dsched import __version__
from dsched.loading import PluginError

SOURCE = Callable[..., str]


@pytest.mark.parametrize("spelt", ["dsched==9.9", "dsched[mq] == 9.9", "dsched (===9.9)"])
def test_a_plugin_made_for_another_version_of_the_core_is_refused_and_not_imported(
    site: Any, executor_source: SOURCE, spelt: str
) -> None:
    site.install("dsched-late", executor_source(), version="9.9", requires=spelt)
    with pytest.raises(PluginError) as caught:
        site.load()
    assert str(caught.value) == (
        f"dsched-late 9.9: it was made for dsched 9.9, and this is dsched {__version__}; install "
        f'both at one version, such as: pip install "dsched=={__version__}" '
        f'"dsched-late=={__version__}"'
    )
    assert "dsched_late" not in sys.modules


@pytest.mark.parametrize(
    "spelt",
    [
        "dsched",
        f"dsched=={__version__}",
        "dsched>=0.1,<9",
        "dsched!=9.9",
        "dsched==0.*",
        "dsched-extras==9.9",
        'dsched==9.9 ; extra == "tests"',
    ],
)
def test_a_plugin_that_names_no_other_version_is_loaded(
    site: Any, executor_source: SOURCE, spelt: str
) -> None:
    site.install("fitting", executor_source(), requires=spelt)
    assert list(site.load().executors) == ["http"]


def test_an_unfit_distribution_is_named_once_however_many_plugins_it_has(
    site: Any, executor_source: SOURCE
) -> None:
    site.install("twofold", executor_source(), requires="dsched==9.9")
    (info,) = site.folder.glob("twofold-*.dist-info")
    (info / "entry_points.txt").write_text("[dsched]\na = twofold\nb = twofold\n")
    with pytest.raises(PluginError) as caught:
        site.load()
    assert len(caught.value.faults) == 1


def test_what_is_switched_off_may_be_of_another_version(site: Any, executor_source: SOURCE) -> None:
    site.install("dsched-late", executor_source(), requires="dsched==9.9")
    assert dict(site.load(disabled=["dsched-late"]).executors) == {}
