"""The pages draw the folders and the layers as they are."""

import re
import tomllib

import pytest
from pages import ROOT, blocks_of, tables
from workspace import MEMBERS, tracked

PAGE = ROOT / "docs/architecture.md"
CORE = "core/src/dsched"
DRAWN = re.compile(r"^( *)([\w-]+)/ {2,}\S")


def folders():
    """Every folder with a file in it that git knows or would take."""
    found = set()
    for path in tracked():
        above = path.relative_to(ROOT).parent.as_posix()
        while above != ".":
            found.add(above)
            above = above.rpartition("/")[0] or "."
    return {path for path in found if not path.startswith(".")}


def drawn_folders():
    """The tree that the page draws, as paths; the packages of the core where they are."""
    tree, *_ = (block.text for block in blocks_of(PAGE) if block.language == "text")
    found, above = [], []
    for line in tree.splitlines():
        match = DRAWN.match(line)
        assert match, f"no folder with a word about it: {line!r}"
        depth = len(match[1]) // 2
        above = [*above[:depth], match[2]]
        path = "/".join(above)
        found.append(re.sub(r"^core/", f"{CORE}/", path))
    return found


def test_the_drawn_tree_names_exactly_the_folders_that_exist():
    real = folders()
    wanted = {path for path in real if "/" not in path}
    wanted |= {member for member in MEMBERS if "/" in member}
    wanted |= {
        path
        for path in real
        if path.startswith(f"{CORE}/") and path.count("/") - CORE.count("/") <= 2
    }
    drawn = drawn_folders()
    assert sorted(drawn) == sorted(wanted)


@pytest.mark.parametrize(("number", "container"), [(1, "dsched"), (2, "dsched.engine")])
def test_the_drawn_layers_are_those_that_the_import_contracts_hold(number, container):
    drawn = [block.text for block in blocks_of(PAGE) if block.language == "text"][number]
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (contract,) = (
        one
        for one in settings["tool"]["importlinter"]["contracts"]
        if one.get("containers") == [container]
    )
    assert contract["exhaustive"]
    assert contract["layers"] == drawn.splitlines()


def test_every_module_that_the_page_names_inside_the_engine_is_there():
    rows = tables(PAGE, "## Inside the engine")
    assert [re.match(r"\[(\w+)/\]", row[0])[1] for row in rows] == ["leader", "worker", "engine"]
    for link, said in rows:
        folder = (PAGE.parent / re.search(r"\((.+)\)", link)[1]).resolve().parent
        named = re.findall(r"`(\w+)`", said)
        assert [name for name in named if not (folder / f"{name}.py").is_file()] == []


@pytest.mark.parametrize("page", ["docs/architecture.md", "CONTRIBUTING.md"])
def test_a_newcomer_is_told_of_every_loop_of_the_leader_and_the_worker(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    loops = {
        "leader": ("election", "firing", "dispatching", "recovery", "collecting"),
        "worker": ("claiming", "running", "reporting", "heartbeat"),
    }
    for role, names in loops.items():
        for name in names:
            assert (ROOT / CORE / "engine" / role / f"{name}.py").is_file()
            assert f"`{name}`" in text
