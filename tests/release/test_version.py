"""One version, kept in one place: what `make version` writes, and that nothing was forgotten."""

import re
import shutil

import pytest
from stamp_version import DEPLOY, KEPT, semantic, stamp
from workspace import MEMBERS, ROOT, metadata

import dsched

NAMED = (KEPT, *DEPLOY, *(f"{member}/pyproject.toml" for member in MEMBERS))


@pytest.fixture
def copy(tmp_path):
    """The files that name the version, for a test to change."""
    for name in NAMED:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def test_everything_says_the_version_that_the_core_keeps(copy):
    assert stamp(copy, list(MEMBERS)) == [], "run: make version"


def test_a_new_version_is_written_everywhere_and_nowhere_else(copy):
    before = {name: (ROOT / name).read_text() for name in NAMED}
    assert set(stamp(copy, list(MEMBERS), "7.8.9rc1")) == set(NAMED)
    for name in NAMED:
        after = (copy / name).read_text()
        assert after.replace("7.8.9-rc1", "7.8.9rc1") == before[name].replace(
            dsched.__version__, "7.8.9rc1"
        ), name
        assert re.search(r"7\.8\.9rc1", after), name


def test_a_chart_has_the_version_in_the_words_of_helm():
    found = [semantic(one) for one in ("1.2.3", "1.2.3rc1", "1.2.3b2", "1.2.3.dev4", "10.0.0a1")]
    assert found == ["1.2.3", "1.2.3-rc1", "1.2.3-b2", "1.2.3-dev4", "10.0.0-a1"]


def test_what_is_no_version_is_refused_and_nothing_is_written(copy):
    with pytest.raises(SystemExit, match="'soon' is no version; write one such as"):
        stamp(copy, list(MEMBERS), "soon")
    assert stamp(copy, list(MEMBERS)) == []


def test_a_core_that_keeps_no_version_is_refused(copy):
    (copy / KEPT).write_text("")
    with pytest.raises(SystemExit, match=r"has no line __version__"):
        stamp(copy, list(MEMBERS))


def test_the_extras_of_the_core_name_what_ships_with_it():
    extras = metadata("core")["project"]["optional-dependencies"]
    ours = {metadata(member)["project"]["name"] for member in MEMBERS[1:]}
    at = f"=={dsched.__version__}"
    assert set(extras["standard"]) == {f"{name}{at}" for name in ours - {"dsched-testkit"}}
    assert extras["mq"] == [f"dsched-executor-mq[amqp,kafka,nats,redis]{at}"]
    assert set(extras["all"]) == {f"dsched[mq,standard]{at}", f"dsched-client[async]{at}"}
    assert extras["testkit"] == [f"dsched-testkit{at}"]


def test_the_changes_begin_with_what_is_unreleased_and_know_this_version():
    lines = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").splitlines()
    versions = [line.removeprefix("## ").split(",")[0] for line in lines if line.startswith("## ")]
    assert versions[0] == "Unreleased"
    assert dsched.__version__ in versions
    assert {line for line in lines if line.startswith("### ")} <= {
        "### Added",
        "### Changed",
        "### Fixed",
        "### Removed",
        "### Security",
    }
