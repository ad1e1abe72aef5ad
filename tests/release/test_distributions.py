"""What `make dist` builds can be published: complete, the same each time, and usable by itself."""

import hashlib
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from check_dist import problems
from hatchling.builders.wheel import WheelBuilder
from wheels import clean_env, run
from workspace import MEMBERS, ROOT, metadata

import dsched
from dsched_testkit.servers import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]
NAMES = sorted(metadata(member)["project"]["name"] for member in MEMBERS)
TASKS = """
tasks:
  - id: hello
    every: 1s
    executor: local
    payload: {function: hello}
"""
APP = """
import dsched

@dsched.task
def hello():
    return dsched.__file__
"""


def test_the_archives_hold_what_they_should(dist):
    assert problems(dist, list(MEMBERS)) == []
    assert len(list(dist.iterdir())) == 2 * len(MEMBERS)


def test_a_wheel_without_types_or_licence_or_of_another_version_is_found(dist, tmp_path):
    (member,) = (one for one in MEMBERS if one.endswith("cli"))
    for archive in dist.glob("dsched_cli-*"):
        (tmp_path / archive.name).write_bytes(archive.read_bytes())
    (wheel,) = tmp_path.glob("*.whl")
    lost = {"dsched_cli/py.typed", f"dsched_cli-{dsched.__version__}.dist-info/licenses/LICENSE"}
    with zipfile.ZipFile(wheel) as whole:
        kept = {name: whole.read(name) for name in whole.namelist() if name not in lost}
    said = f"dsched_cli-{dsched.__version__}.dist-info/METADATA"
    kept[said] = kept[said].replace(b"\nVersion: ", b"\nVersion: 1!")
    with zipfile.ZipFile(wheel, "w") as less:
        for name, content in {**kept, "stray.py": b""}.items():
            less.writestr(name, content)
    found = "\n".join(problems(tmp_path, [member]))
    for problem in ("py.typed is missing", "the licence is missing", "calls itself dsched-cli 1!"):
        assert problem in found
    assert "['stray.py'] would be installed beside the package" in found
    assert len(found.splitlines()) == 4


def test_an_archive_that_lacks_something_is_found(dist, tmp_path):
    for archive in dist.iterdir():
        (tmp_path / archive.name).write_bytes(archive.read_bytes())
    (tmp_path / f"dsched_balancers-{dsched.__version__}-py3-none-any.whl").unlink()
    (tmp_path / "notes.txt").touch()
    found = problems(tmp_path, list(MEMBERS))
    assert any("dsched_balancers" in one and "was not built" in one for one in found)
    assert "notes.txt is of no distribution" in found
    assert len(found) == 2


@pytest.mark.long
@pytest.mark.parametrize("member", MEMBERS)
def test_the_tree_and_its_source_archive_build_the_same_wheel(member, dist, tmp_path):
    """The wheels in `dist` were built from unpacked source archives, this one is built in place."""
    wheel = Path(next(WheelBuilder(str(ROOT / member)).build(directory=str(tmp_path))))
    assert _digest(wheel) == _digest(dist / wheel.name)


def test_a_task_runs_from_installed_wheels(bare, tmp_path):
    (tmp_path / "tasks.yaml").write_text(TASKS)
    (tmp_path / "app.py").write_text(APP)
    config = tmp_path / "dsched.yaml"
    config.write_text("api: {port: 0}\nmetrics: {port: 0}\n")
    command = [bare.with_name("dsched-run"), "--config", config, "--tasks", "tasks.yaml"]
    with (tmp_path / "log").open("wb") as log:
        pod = subprocess.Popen(
            [*command, "--app", "app"], cwd=tmp_path, env=clean_env(), stdout=log, stderr=log
        )
    try:
        wait_until(lambda: _ended(bare, tmp_path), "a task that ended", timeout_s=60)
    except RuntimeError:
        pytest.fail((tmp_path / "log").read_text())
    finally:
        pod.terminate()
        assert pod.wait(timeout=30) == 0, (tmp_path / "log").read_text()
    task = _ended(bare, tmp_path)[0]
    result = json.loads(_dsched(bare, tmp_path, "task", "result", task["id"], "-o", "json"))
    assert Path(result["data"]).is_relative_to(bare.parents[1])


def test_the_installed_wheels_are_all_and_fit_together(bare):
    listed = (
        "import json, sys; from importlib.metadata import distributions as d; "
        "print(json.dumps([{x.name: x.version for x in d() if "
        "x.name.startswith('dsched')}, sys.path]))"
    )
    installed, path = json.loads(run([bare, "-c", listed], bare.parent))
    assert sorted(installed) == [name for name in NAMES if name != "dsched-testkit"]
    assert set(installed.values()) == {dsched.__version__}
    assert not [folder for folder in path if Path(folder).is_relative_to(ROOT / "core")]
    pip = [sys.executable, "-m", "pip", "--isolated", "--python", str(bare), "check"]
    assert "No broken requirements" in run(pip, bare.parent)


def _ended(bare: Path, folder: Path) -> list:
    if not (folder / "dsched.db").exists():
        return []  # the pod has not come so far
    listed = _dsched(bare, folder, "task", "list", "--status", "success", "-o", "json")
    return json.loads(listed)


def _dsched(bare: Path, folder: Path, *words: str) -> str:
    return run([bare.with_name("dsched"), "--local", *words], folder)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
