"""A release is refused for what speaks against it, and publishes what its tag names."""

import hashlib
import http.server
import json
import re
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import changelog
import check_release
import proofs
import publish
import pytest
import record
import wheels
from workspace import MEMBERS, ROOT

import dsched

CHANGES = """# Changes

## Unreleased

## 1.2.0, 2027-01-31

### Added

- A thing.

## 1.1.0, 2026-12-31

### Fixed

- Another.
"""


@pytest.fixture
def repository(tmp_path):
    """A repository with one commit, whose core keeps the version 1.2.0."""
    root = tmp_path / "repository"
    core = root / "core/src/dsched/__init__.py"
    core.parent.mkdir(parents=True)
    core.write_text('__version__ = "1.2.0"\n')
    (root / "CHANGELOG.md").write_text(CHANGES)
    git(root, "init", "-q", "-b", "main")
    git(root, "config", "user.name", "a")
    git(root, "config", "user.email", "a@example.com")
    commit(root)
    return root


@pytest.fixture
def archives(tmp_path):
    folder = tmp_path / "archives"
    folder.mkdir()
    metadata = "Metadata-Version: 2.1\nName: thing\nVersion: 1.2.0\n"
    with zipfile.ZipFile(folder / "thing-1.2.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("thing.py", "")
        wheel.writestr("thing-1.2.0.dist-info/METADATA", metadata)
        wheel.writestr("thing-1.2.0.dist-info/WHEEL", "Wheel-Version: 1.0\n")
        wheel.writestr("thing-1.2.0.dist-info/RECORD", "")
    return folder


def git(root, *words):
    return subprocess.run(
        ["git", *words], cwd=root, check=True, capture_output=True, text=True
    ).stdout


def commit(root):
    git(root, "add", "-A")
    git(root, "commit", "-q", "--allow-empty", "-m", "a commit")
    return git(root, "rev-parse", "HEAD").strip()


# --- what speaks against it ---


def test_notes_are_the_section_of_the_version_and_of_no_other():
    assert changelog.notes(CHANGES, "1.2.0") == "### Added\n\n- A thing."
    assert changelog.notes(CHANGES, "1.3.0") is None
    assert changelog.problems(CHANGES, "1.2.0") == []


def test_a_change_list_without_the_version_or_with_leftovers_is_refused():
    (missing,) = changelog.problems(CHANGES, "1.3.0")
    assert "no heading `## 1.3.0, YYYY-MM-DD`" in missing
    (left,) = changelog.problems(CHANGES.replace("Unreleased\n", "Unreleased\n\n- New.\n"), "1.2.0")
    assert "changes under Unreleased" in left
    (undated,) = changelog.problems(CHANGES.replace(", 2027-01-31", ""), "1.2.0")
    assert "no heading" in undated


def test_a_tree_with_changes_is_refused(repository):
    assert check_release.clean_tree(repository) == []
    (repository / "new.txt").touch()
    assert check_release.clean_tree(repository) == ["1 files are not committed, such as new.txt"]


def test_a_version_whose_tag_is_taken_is_refused(repository, monkeypatch):
    monkeypatch.setattr(check_release, "_unstamped", lambda root, members: ["cli/pyproject.toml"])
    assert check_release.versions(repository, [], "1.2.0") == [
        "cli/pyproject.toml names another; run: make version"
    ]
    git(repository, "tag", "v1.2.0")
    assert "the tag v1.2.0 is there already" in check_release.versions(repository, [], "1.2.0")[1]


def test_a_dry_stamp_changes_nothing(repository):
    said = check_release.versions(ROOT, list(MEMBERS), dsched.__version__)
    assert [one for one in said if "names another" in one] == []


# --- proofs ---


def proved(root, code, *, seeds=20_000, seconds=600, violations=0):
    """Record every proof for a commit, and commit the records."""
    results = root / "docs/results"
    results.mkdir(parents=True, exist_ok=True)
    campaign = {"commit": code[:12], "seeds": seeds, "first": 0, "last": seeds - 1}
    campaign |= {"violations": violations}
    (results / "simulation.json").write_text(json.dumps({"campaigns": [campaign]}))
    swept = {"commit": code[:12], "violations": 0, "unhit": 0}
    (results / "sweep.json").write_text(json.dumps(swept))
    (results / "mutants.json").write_text(json.dumps({"commit": code, "clean": True}))
    runs = [
        {"backend": one, "commit": code[:12], "seconds": seconds, "violations": 0, "lost": 0}
        for one in proofs.BACKENDS
    ]
    (results / "chaos.jsonl").write_text("".join(f"{json.dumps(one)}\n" for one in runs))
    (root / "docs/figures.md").write_text("figures")
    commit(root)


def test_proofs_count_when_only_records_have_changed_since(repository):
    code = git(repository, "rev-parse", "HEAD").strip()
    proved(repository, code)
    assert proofs.problems(repository) == []


def test_proofs_of_other_code_count_for_nothing(repository):
    proved(repository, git(repository, "rev-parse", "HEAD").strip())
    (repository / "core/src/dsched/more.py").touch()
    commit(repository)
    said = proofs.problems(repository)
    assert len(said) == 7
    assert said[0].startswith("simulation: 0 of 20,000 seeds")
    assert 'make chaos MINUTES=10 ARGS="--backend sqlite --record"' in said[-1]


@pytest.mark.parametrize(
    ("flaw", "named"),
    [({"seeds": 19_999}, "19,999 of 20,000"), ({"violations": 1}, "0 of 20,000")],
)
def test_too_few_seeds_or_seeds_that_found_something_are_refused(repository, flaw, named):
    proved(repository, git(repository, "rev-parse", "HEAD").strip(), **flaw)
    (said,) = proofs.problems(repository)
    assert named in said


def test_a_tree_without_any_record_is_refused(repository):
    assert len(proofs.problems(repository)) == 7


def test_what_is_to_be_recorded_is_what_is_missing(repository):
    code = git(repository, "rev-parse", "HEAD").strip()
    scripts = [Path(one[1]).name for one in record.steps(repository, "python")]
    assert scripts == [
        *["simulate.py"] * 20, "crash_points.py", "break_guards.py", *["chaos_cli.py"] * 4,
    ]  # fmt: skip
    proved(repository, code, seeds=18_500, seconds=400)
    (repository / "docs/results/more.json").touch()  # records alone have changed since
    assert record.uncommitted(repository) == []
    first, second, *chaos = record.steps(repository, "python")
    assert first[2:6] == ["--first", "18500", "--seeds", "1000"]
    assert second[2:6] == ["--first", "19500", "--seeds", "500"]
    assert [one[2:6] for one in chaos] == [
        ["--backend", backend, "--seconds", "200"] for backend in proofs.BACKENDS
    ]
    (repository / "core/src/dsched/more.py").touch()
    assert len(record.uncommitted(repository)) == 1


def test_nothing_is_run_where_all_is_recorded(repository):
    proved(repository, git(repository, "rev-parse", "HEAD").strip())
    assert record.steps(repository, "python") == []


# --- tag, publish ---


def test_the_tag_has_notes_and_sums_and_publishing_uploads_what_it_names(repository, archives):
    assert publish.tag(repository, archives, sign=False) == "v1.2.0"
    (wheel,) = archives.iterdir()
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    message = git(repository, "tag", "--list", "--format=%(contents)", "v1.2.0")
    assert "### Added\n\n- A thing." in message
    assert f"{digest}  {wheel.name}" in message
    with index() as (url, received):
        options = ["--publish-url", url, "--username", "a", "--password", "b"]
        publish.publish(repository, archives, uv(), options)
    (body,) = received
    assert wheel.read_bytes() in body


def test_the_page_says_how_to_check_archives_against_the_tag(repository, archives):
    publish.tag(repository, archives, sign=False)
    page = (ROOT / "docs/releasing.md").read_text(encoding="utf-8")
    (command,) = re.findall(r"`(git tag --list [^`]*sha256sum --check)`", page)
    command = command.replace("v0.2.0", "v1.2.0").replace("git ", f"git -C {repository} ", 1)
    checking = ["bash", "-c", f"set -o pipefail; {command}"]
    assert subprocess.run(checking, cwd=archives, check=False).returncode == 0
    (wheel,) = archives.iterdir()
    wheel.write_bytes(b"another")
    assert subprocess.run(checking, cwd=archives, check=False).returncode != 0


def test_archives_that_differ_from_those_of_the_tag_are_not_published(repository, archives):
    publish.tag(repository, archives, sign=False)
    (archives / "more-1.2.0.tar.gz").write_bytes(b"x")
    with pytest.raises(publish.ReleaseError, match="does not hold what v1"):
        publish.publish(repository, archives, uv(), [])


def test_nothing_is_published_from_a_commit_without_the_tag(repository, archives):
    publish.tag(repository, archives, sign=False)
    commit(repository)
    with pytest.raises(publish.ReleaseError, match="HEAD is not tagged v1"):
        publish.publish(repository, archives, uv(), [])


def test_no_tag_without_notes_or_archives(repository, archives):
    (repository / "CHANGELOG.md").write_text(CHANGES.replace(", 2027-01-31", ""))
    with pytest.raises(publish.ReleaseError, match="no heading"):
        publish.tag(repository, archives, sign=False)
    (repository / "CHANGELOG.md").write_text(CHANGES)
    for archive in archives.iterdir():
        archive.unlink()
    with pytest.raises(publish.ReleaseError, match="is empty; run: make dist"):
        publish.tag(repository, archives, sign=False)
    assert git(repository, "tag") == ""


def test_an_upload_that_fails_is_said(repository, archives):
    publish.tag(repository, archives, sign=False)
    with index(status=403) as (url, _):
        options = ["--publish-url", url, "--username", "a", "--password", "b"]
        with pytest.raises(publish.ReleaseError, match="the upload failed"):
            publish.publish(repository, archives, uv(), options)


# --- wheels ---


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.timeout(240)
def test_the_wheels_are_tried_in_a_bare_environment_of_each_python(dist, monkeypatch, capsys):
    mine = f"{sys.version_info.major}.{sys.version_info.minor}"  # others would need the network
    found = {mine: sys.executable, "3.99": None}
    monkeypatch.setattr(wheels, "pythons", lambda versions: found)
    assert check_release.installed(ROOT, dist, dsched.__version__) == []
    assert "Python 3.99 is not on this machine; not tried" in capsys.readouterr().out


def test_a_name_on_the_path_that_does_not_run_is_no_python(tmp_path, monkeypatch):
    shim = tmp_path / "python3.98"
    shim.write_text("#!/bin/sh\nexit 127\n")
    shim.chmod(0o755)
    (tmp_path / "python3.97").symlink_to(sys.executable)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    found = wheels.pythons(["3.99", "3.98", "3.97"])
    assert found == {"3.99": None, "3.98": None, "3.97": str(tmp_path / "python3.97")}


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_wheels_that_do_not_fit_together_are_found(dist, tmp_path):
    (tmp_path / "less").mkdir()
    for archive in dist.glob("*.whl"):
        if "balancers" not in archive.name:
            (tmp_path / "less" / archive.name).symlink_to(archive)
    made = wheels.bare_environment(tmp_path)
    with pytest.raises(wheels.WheelsError, match="dsched-balancers"):
        wheels.try_out(made, tmp_path / "less", dsched.__version__, tmp_path)


def uv():
    return str(Path(sys.executable).with_name("uv"))


class index:  # noqa: N801 - reads as what it is: with index() as ...
    """A package index on loopback that takes uploads, and keeps what it was sent."""

    def __init__(self, status: int = 200) -> None:
        received: list[bytes] = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                received.append(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(status)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._received = received
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)

    def __enter__(self):
        self._thread.start()
        return f"http://127.0.0.1:{self._server.server_port}/", self._received

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
