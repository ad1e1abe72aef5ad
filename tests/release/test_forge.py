"""What runs on a forge or before a commit is in the Makefile, and runs on what is supported."""

import re
import shlex
import subprocess
import sys

import pytest
import yaml
from chaos.plan import MENUS
from workspace import ROOT, metadata, tracked

MAKE = (ROOT / "Makefile").read_text(encoding="utf-8")
TARGETS = set(re.findall(r"^([a-z-]+):.*## ", MAKE, re.MULTILINE))
VARIABLES = set(re.findall(r"^([A-Z]+) \?=", MAKE, re.MULTILINE))
WORKFLOWS = {
    path.name: yaml.safe_load(path.read_text(encoding="utf-8"))
    for path in sorted((ROOT / ".github/workflows").glob("*.yml"))
}
JOBS = {
    f"{name}: {job}": settings
    for name, flow in WORKFLOWS.items()
    for job, settings in flow["jobs"].items()
}


# Each reads its arguments, and ends there if it is asked for help.
PROGRAMS = sorted(set(re.findall(r"\$\(BIN\)/python ((?:tests|release)/\S+\.py)", MAKE)))


def commands(job: dict) -> list[str]:
    """Every command of a job, those of its matrix in the place where it runs them."""
    matrix = job.get("strategy", {}).get("matrix", {})
    runs = [step["run"] for step in job["steps"] if "run" in step]
    return [one for run in runs for one in (matrix["run"] if run == "${{ matrix.run }}" else [run])]


@pytest.mark.parametrize("job", JOBS.values(), ids=list(JOBS))
def test_every_step_is_a_target_with_variables_that_it_takes(job):
    for command in commands(job):
        make, target, *given = shlex.split(command)
        assert make == "make", command
        assert target in TARGETS, command
        assert {one.partition("=")[0] for one in given} <= VARIABLES, command


@pytest.mark.parametrize("job", JOBS.values(), ids=list(JOBS))
def test_a_job_may_only_read_ends_by_itself_and_uses_pinned_actions(job):
    assert job["timeout-minutes"] <= 360
    assert "permissions" not in job
    for step in job["steps"]:
        assert ("run" in step) != ("uses" in step)
        if "uses" in step:
            assert re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40}", step["uses"]), step
        if "actions/checkout" in step.get("uses", ""):
            assert step["with"]["persist-credentials"] is False


def test_every_workflow_may_only_read():
    assert all(flow["permissions"] == {"contents": "read"} for flow in WORKFLOWS.values())


def test_the_matrix_is_what_the_metadata_promises():
    promised = metadata("core")["project"]["classifiers"]
    versions = [
        found[1]
        for one in promised
        if (found := re.fullmatch(r"Programming Language :: Python :: (3\.\d+)", one))
    ]
    matrix = WORKFLOWS["check.yml"]["jobs"]["test"]["strategy"]["matrix"]
    assert matrix["python"] == versions
    assert metadata("core")["project"]["requires-python"] == f">={versions[0]}"
    numbers = [int(one.partition(".")[2]) for one in versions]
    assert numbers == list(range(numbers[0], numbers[-1] + 1))
    systems = {one.split(" :: ")[-1] for one in promised if one.startswith("Operating System")}
    named = {"Linux": "ubuntu-latest", "MacOS": "macos-latest"}
    assert matrix["os"] == [named[one] for one in sorted(systems)]


def test_another_python_has_an_environment_of_its_own_that_git_ignores():
    told = subprocess.run(
        ["make", "-n", "test", "PYTHON=python3.99", "VENV=.venv-3.99"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert "python3.99 -m venv .venv-3.99" in told
    assert ".venv/" not in told
    subprocess.run(["git", "check-ignore", "-q", ".venv-3.99/bin"], cwd=ROOT, check=True)


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_of_a_target_finds_what_it_imports_outside_of_the_tests(program):
    told = subprocess.run(
        [sys.executable, program, "--help"], cwd=ROOT, capture_output=True, text=True, check=True,
        env={"PATH": "/usr/bin:/bin"},
    ).stdout  # fmt: skip
    assert told.startswith("usage: ")


def test_a_change_is_checked_as_the_gate_checks_it():
    gate = (ROOT / ".ci/run").read_text()
    assert "make check test" in gate
    run = commands(WORKFLOWS["check.yml"]["jobs"]["test"])
    assert run == ["make dev", "make check", "make test"]
    assert commands(WORKFLOWS["check.yml"]["jobs"]["dist"]) == ["make dist"]


def test_a_night_simulates_sweeps_breaks_guards_and_every_backend():
    run = [shlex.split(one) for one in commands(WORKFLOWS["nightly.yml"]["jobs"]["search"])]
    assert {one[1] for one in run} == {
        *("dev", "test-long", "simulate", "sweep", "mutants", "chaos")
    }
    backends = [re.findall(r"--backend (\w+)", " ".join(one)) for one in run if one[1] == "chaos"]
    assert sorted(backends) == [[one] for one in sorted(MENUS)]


def test_hooks_before_a_commit_are_targets_and_download_nothing():
    settings = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    assert [one["repo"] for one in settings["repos"]] == ["local"]
    for hook in settings["repos"][0]["hooks"]:
        make, target = hook["entry"].split()
        assert (make, hook["language"], hook["pass_filenames"]) == ("make", "system", False)
        assert target in TARGETS, hook


def test_forms_for_issues_are_forms():
    forms = sorted((ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml"))
    assert {form.stem for form in forms} == {"config", "defect", "wish"}
    for form in forms:
        if form.stem == "config":
            continue
        said = yaml.safe_load(form.read_text(encoding="utf-8"))
        assert {"name", "description", "body"} <= set(said), form
        ids = [field["id"] for field in said["body"] if field["type"] != "markdown"]
        assert len(ids) == len(set(ids)), form
        for field in said["body"]:
            assert field["type"] in {"markdown", "textarea", "input", "dropdown", "checkboxes"}
            assert "label" in field["attributes"] or field["type"] == "markdown"


def test_files_keep_what_the_editor_is_told():
    told = (ROOT / ".editorconfig").read_text(encoding="utf-8")
    assert "max_line_length = 100" in told  # as ruff's line-length
    for path in tracked():
        content = path.read_bytes()
        if b"\0" in content or not content:
            continue
        assert b"\r\n" not in content, path
        assert content.endswith(b"\n"), path
