"""`dsched plugin`: listing, new projects that pass their own contract suite, checking."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Done


def test_installed_plugins_are_listed_without_a_server(dsched: "Callable[..., Done]"):
    found = dsched("plugin", "list", "-o", "json").data
    assert {"kind", "name", "distribution", "version"} == set(found[0])
    assert ("store", "sqlite") in {(one["kind"], one["name"]) for one in found}


def test_every_installed_plugin_passes_the_check(dsched: "Callable[..., Done]"):
    done = dsched("plugin", "check", "-o", "json")
    assert done.code == 0
    assert {one["state"] for one in done.data} == {"ok"}


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind",
    [
        "executor",
        pytest.param("balancer", marks=pytest.mark.long),
        pytest.param("observer", marks=pytest.mark.long),
    ],
)
def test_a_new_project_passes_its_own_contract_suite(
    dsched: "Callable[..., Done]", tmp_path: Path, kind: str
):
    made = dsched("plugin", "new", kind, "lambda", cwd=tmp_path)
    assert made.code == 0, made.err
    folder = tmp_path / f"dsched-{kind}-lambda"
    assert f"dsched-{kind}-lambda/pyproject.toml" in made.out.split()
    text = "".join(path.read_text() for path in folder.rglob("*.*") if path.is_file())
    assert "@NAME@" not in text
    assert "@CLASS@" not in text
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=55,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    checked = dsched("plugin", "check", str(folder), "--no-tests", "-o", "json")
    assert {one["state"] for one in checked.data} == {"ok"}


def test_a_project_never_overwrites(dsched: "Callable[..., Done]", tmp_path: Path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "keep.txt").write_text("keep")
    done = dsched("plugin", "new", "executor", "x", "--folder", str(tmp_path / "mine"))
    assert done.code == 5
    assert [one.name for one in (tmp_path / "mine").iterdir()] == ["keep.txt"]


@pytest.mark.parametrize("name", ["Lambda", "../evil", "a b", "-x", "a--b", "x" * 41])
def test_a_name_that_cannot_be_one_is_refused(
    dsched: "Callable[..., Done]", tmp_path: Path, name: str
):
    done = dsched("plugin", "new", "executor", "--", name, cwd=tmp_path)
    assert done.code == 2
    assert list(tmp_path.iterdir()) == []


def test_a_project_that_is_wrong_is_told_what(dsched: "Callable[..., Done]", tmp_path: Path):
    dsched("plugin", "new", "balancer", "x", cwd=tmp_path)
    folder = tmp_path / "dsched-balancer-x"
    plugin = folder / "src" / "dsched_balancer_x" / "plugin.py"
    plugin.write_text(plugin.read_text().replace("def dsched_balancers", "def dsched_balancerz"))
    done = dsched("plugin", "check", str(folder), "--no-tests", "-o", "json")
    assert done.code == 1
    assert any("dsched_balancerz" in one["detail"] for one in done.data if one["state"] == "error")
    plugin.write_text("import aiohttp\nraise RuntimeError('broken')\n")
    broken = dsched("plugin", "check", str(folder), "--no-tests")
    assert (broken.code, "RuntimeError: broken" in broken.out) == (1, True)


def test_a_folder_without_project_is_a_usage_error(dsched: "Callable[..., Done]", tmp_path: Path):
    assert dsched("plugin", "check", str(tmp_path)).code == 2


def test_one_installed_plugin_is_checked_by_its_name_or_its_distributions(
    dsched: "Callable[..., Done]",
):
    for name in ("http", "dsched-executor-http"):
        done = dsched("plugin", "check", name, "-o", "json")
        assert [(one["check"], one["state"]) for one in done.data] == [("executor http", "ok")]
    done = dsched("plugin", "check", "no-such-plugin")
    assert (done.code, "neither a folder nor an installed plugin" in done.err) == (2, True)
