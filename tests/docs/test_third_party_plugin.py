"""The example of a plugin is built, installed beside dsched, found, and runs a task."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import attrs
import pytest
from pages import ROOT, blocks_of

EXAMPLE = ROOT / "docs/examples/plugin-executor"
TASKS = "tasks: [{id: note, fixed_delay: 1h, executor: spool, payload: {text: one more hour}}]\n"

pytestmark = pytest.mark.slow


@attrs.frozen
class Installed:
    """Where the plugin was installed to, and a folder to work in."""

    site: Path
    folder: Path

    def run(self, *command: str) -> str:
        """Run a command that finds the plugin; what it printed."""
        told = {"PYTHONPATH": str(self.site), "DSCHED_METRICS__PORT": "0"}
        return ran(*command, cwd=self.folder, env=os.environ | told)


def ran(*command: str, cwd: Path, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        command,
        cwd=cwd,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def install(source: Path, base: Path) -> Path:
    """Build the wheel and install it into a folder of its own: which one. Nothing is fetched."""
    build = (sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(base))
    ran(*build, cwd=source)
    (wheel,) = base.glob("*.whl")
    site = base / "site"
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet")
    ran(*pip, "--no-deps", "--no-index", "--target", str(site), str(wheel), cwd=base)
    return site


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The example, installed from a copy."""
    base = tmp_path_factory.mktemp("plugin")
    source = base / "source"
    shutil.copytree(EXAMPLE, source, ignore=shutil.ignore_patterns("__pycache__"))
    site = install(source, base)
    folder = base / "work"
    folder.mkdir()
    (folder / "tasks.yaml").write_text(TASKS)
    return Installed(site, folder)


def dsched_run() -> str:
    return str(Path(sys.executable).with_name("dsched-run"))


def test_check_lists_it_and_judges_its_payloads(installed: Installed) -> None:
    found = installed.run(dsched_run(), "--tasks", "tasks.yaml", "--check")
    assert "executor: spool (dsched-executor-spool 1.0.0)" in found
    assert "tasks: 1 ok: note" in found


def test_a_task_runs_through_it_to_success(installed: Installed) -> None:
    said = installed.run(dsched_run(), "--tasks", "tasks.yaml", "--for", "3s")
    (file,) = (installed.folder / "spool").iterdir()
    assert file.name.startswith("note@")
    assert file.read_text() == "one more hour"
    assert "(task=note@" in said.partition("ended: ok")[2]


def test_its_own_tests_pass(installed: Installed) -> None:
    installed.run(
        sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly",
        "-o", "asyncio_mode=auto", str(EXAMPLE / "tests"),
    )  # fmt: skip


def test_the_two_files_of_the_readme_are_a_plugin(tmp_path: Path) -> None:
    shown = {block.language: block.text for block in blocks_of(ROOT / "README.md")}
    source = tmp_path / "hello"
    source.mkdir()
    (source / "hello.py").write_text(shown["python"])
    (source / "pyproject.toml").write_text(shown["toml"])
    here = Installed(install(source, tmp_path), tmp_path)
    task = "{id: greet, fixed_delay: 1h, executor: hello, payload: Ada}"
    (tmp_path / "tasks.yaml").write_text(f"tasks: [{task}]\n")
    found = here.run(dsched_run(), "--tasks", "tasks.yaml", "--check")
    assert "executor: hello (hello 1.0)" in found
    said = here.run(dsched_run(), "--tasks", "tasks.yaml", "--for", "3s")
    assert "(task=greet@" in said.partition("ended: ok")[2]


def test_it_imports_nothing_but_the_public_modules() -> None:
    lines = [
        line
        for file in (EXAMPLE / "src").rglob("*.py")
        for line in file.read_text(encoding="utf-8").splitlines()
        if line.lstrip().startswith(("from dsched.", "import dsched"))
    ]
    assert lines
    assert all(line.startswith(("from dsched.contracts ", "from dsched.model ")) for line in lines)
