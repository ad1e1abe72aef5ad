"""The workspace is as docs/architecture.md draws it: members, versions, files, what they hold."""

import re
import subprocess
import sys

import pytest
from workspace import MEMBERS, ROOT, metadata, tracked

# What programs import or people type, and no pod loads.
LIBRARIES = {"clients/http", "cli"}
SELF = "tests/architecture/test_house.py"
INDEX_HOSTS = re.compile(
    r"pyp[i]\.org|pythonhoste[d]\.org|registry\.npm[j]s|deb\.debia[n]", re.IGNORECASE
)
PAGE = re.compile(r"[\w./-]*[\w-]\.md\b")
MADE_BY_TESTS = {"page.md", "some/page.md"}
MACHINE_PATHS = re.compile(r"(^|[^A-Za-z0-9_.])/(wor[k]|roo[t]|hom[e]/[a-z]+)/[A-Za-z.]")


@pytest.mark.parametrize("member", MEMBERS)
def test_every_member_has_metadata_readme_sources_tests_and_types(member):
    folder = ROOT / member
    package = metadata(member)["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"][0]
    for part in ("pyproject.toml", "README.md", "tests", package, f"{package}/py.typed"):
        assert (folder / part).exists(), f"{member} has no {part}"
    assert any((folder / "tests").rglob("test_*.py")), f"{member} has no tests of its own"


def test_every_member_carries_the_licence_and_says_the_same_of_itself():
    licence = (ROOT / "LICENSE").read_bytes()
    same = ("requires-python", "license", "license-files", "authors", "classifiers", "readme")
    said = {key: metadata("core")["project"][key] for key in same}
    assert metadata("core")["build-system"]["requires"] == ["hatchling>=1.27"]  # license-files
    for member in MEMBERS:
        assert (ROOT / member / "LICENSE").read_bytes() == licence, member
        assert {key: metadata(member)["project"].get(key) for key in same} == said, member
        assert metadata(member)["build-system"] == metadata("core")["build-system"], member


def test_the_makefile_builds_every_member():
    (listed,) = re.findall(
        r"^DISTRIBUTIONS := ((?:.*\\\n)*.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE
    )
    assert tuple(listed.replace("\\\n", " ").split()) == MEMBERS


def test_the_readmes_name_every_way_to_build():
    for page in ("README.md", "README.zh-CN.md"):
        assert {"dist", "version"} <= set(
            re.findall(r"make ([a-z-]+)", (ROOT / page).read_text(encoding="utf-8"))
        ), page


def test_all_distributions_have_one_version():
    import dsched

    versions = {member: metadata(member)["project"]["version"] for member in MEMBERS}
    assert {dsched.__version__} == set(versions.values()), versions


def test_members_depend_on_exactly_this_version_of_the_core():
    import dsched

    for member in MEMBERS[1:]:
        wanted = f"dsched=={dsched.__version__}"
        assert wanted in metadata(member)["project"]["dependencies"], member


def test_every_member_but_the_core_and_the_libraries_registers_its_plugin():
    for member in LIBRARIES:
        assert "entry-points" not in metadata(member)["project"], member
    for member in set(MEMBERS[1:]) - LIBRARIES:
        points = metadata(member)["project"]["entry-points"]["dsched"]
        assert all(target.endswith(".plugin") for target in points.values()), member


def test_no_tracked_file_names_a_package_index():
    found = [path for path in _texts() if INDEX_HOSTS.search(path.read_text(errors="ignore"))]
    assert found == []


def test_no_tracked_file_names_a_path_of_a_machine():
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in _texts()
        for number, line in enumerate(path.read_text(errors="ignore").splitlines(), 1)
        if MACHINE_PATHS.search(line)
    ]
    assert found == []


def test_every_page_that_a_tracked_file_names_is_in_the_repository():
    kept = {path.relative_to(ROOT).as_posix() for path in tracked()}
    ends = {"/".join(path.split("/")[n:]) for path in kept for n in range(path.count("/") + 1)}
    found = sorted(
        f"{path.relative_to(ROOT)} names {name}"
        for path in _texts()
        for name in set(PAGE.findall(path.read_text(errors="ignore")))
        if re.sub(r"^[./]+", "", name) not in ends | MADE_BY_TESTS
    )
    assert found == []


def test_there_is_no_lock_file_that_records_index_addresses():
    names = {path.name for path in tracked()}
    assert not names & {"uv.lock", "poetry.lock", "pdm.lock"}


def test_listing_the_plugins_imports_nothing_heavy():
    heavy = ("aiohttp", "redis", "grpc", "prometheus_client", "sqlite3", "hypothesis", "pytest")
    code = (
        "import sys; from dsched.loading import load_catalogue; load_catalogue(); "
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert shown.stdout.strip() == "[]"


def _texts():
    skipped = {".png", ".jpg", ".whl", ".db"}
    return [
        path
        for path in tracked()
        if path.suffix not in skipped and path.relative_to(ROOT).as_posix() != SELF
    ]
