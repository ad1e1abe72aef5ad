"""The pages hold together: links resolve, files exist, blocks equal the files they show."""

import re
from itertools import pairwise

import pytest
from chinese import place
from pages import ROOT, anchors, blocks, blocks_of, headings, pages, prose_of, text_of

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
COMMENT = re.compile(r" +# .*$", re.MULTILINE)
INLINE = re.compile(r"`([^`\n]+)`")
TOPS = {path.name for path in ROOT.iterdir() if not path.name.startswith(".")}
IDS = [str(page.relative_to(ROOT)) for page in pages()]


@pytest.mark.parametrize("page", pages(), ids=IDS)
def test_every_link_leads_somewhere(page):
    for target in LINK.findall(prose_of(page)):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{target} in {page.name}: no such file"
        assert file.is_relative_to(ROOT), f"{target} in {page.name} leaves the repository"
        if anchor:
            assert anchor in anchors(file), f"{target}: {file.name} has {sorted(anchors(file))}"


@pytest.mark.parametrize("page", pages(), ids=IDS)
def test_every_file_named_in_code_type_exists(page):
    shown = " ".join(block.file or "" for block in blocks_of(page))
    for name in INLINE.findall(prose_of(page)):
        top, slash, _ = name.partition("/")
        if slash and top in TOPS and re.fullmatch(r"[\w./-]+", name):
            assert (ROOT / name).exists() or f"/{name}" in shown, f"{page.name} names {name}"


def test_every_page_can_be_found_from_the_readme():
    seen, todo = set(), [ROOT / "README.md"]
    while todo:
        page = todo.pop()
        if page in seen or page.suffix != ".md" or not page.is_file():
            continue
        seen.add(page)
        targets = (target.partition("#")[0] for target in LINK.findall(prose_of(page)))
        todo += [(page.parent / target).resolve() for target in targets if "://" not in target]
    assert set(pages()) - seen == set()


def test_blocks_that_show_a_file_equal_it():
    shown = [block for block in blocks() if block.file]
    for block in shown:
        file = ROOT / "docs" / block.file
        assert block.text == file.read_text(encoding="utf-8"), f"{block} is not {block.file}"
    folder = ROOT / "docs/examples/plugin-executor"
    code = {path for path in folder.rglob("*.py") if path.read_text().count("\n") > 1}
    night = set((ROOT / "docs/examples/testing-a-night").glob("*.*"))
    files = {ROOT / "docs" / block.file for block in shown}
    shown_whole = {
        file
        for file in files
        if file.is_relative_to(folder) or file.is_relative_to(folder.parent / "testing-a-night")
    }
    assert shown_whole == code | {folder / "pyproject.toml"} | night


def test_the_chinese_readme_says_the_same():
    english, chinese = ROOT / "README.md", ROOT / "README.zh-CN.md"
    assert len(headings(english)) == len(headings(chinese))
    kept = [
        [
            (block.language, COMMENT.sub("", block.text))
            for block in blocks_of(page)
            if block.language != "mermaid"
        ]
        for page in (english, chinese)
    ]
    assert kept[0] == kept[1]
    assert len(blocks_of(english)) == len(blocks_of(chinese))
    targets = [
        [target for target in LINK.findall(prose_of(page)) if not target.startswith("README")]
        for page in (english, chinese)
    ]
    wanted = [place(target, of=english, seen_from=chinese) for target in targets[0]]
    assert sorted(targets[1]) == sorted(wanted)


def test_no_chinese_paragraph_is_broken_and_every_bold_word_ends():
    """A line break would show as a space, and bold that ends on a bracket before a word does
    not."""
    lines = prose_of(ROOT / "README.zh-CN.md").splitlines()
    for before, after in pairwise(lines):
        apart = not before or not after or (before.startswith("|") and after.startswith("|"))
        assert apart, f"one paragraph, two lines: {after}"
    for line in lines:
        assert not re.search(r"[（）、，。]\*\*\w", line), line
        for comment in COMMENT.findall(line):
            assert not comment.isascii(), comment


@pytest.mark.parametrize("page", [ROOT / "README.md", ROOT / "README.zh-CN.md"], ids=str)
def test_every_test_that_proves_a_word_exists(page):
    rows = [line for line in text_of(page).splitlines() if "`test_" in line]
    assert len(rows) >= 12
    for row in rows:
        ((file, test),) = re.findall(r"\]\(([^)]+)\) \| `(test_\w+)` \|", row)
        source = (ROOT / file).read_text(encoding="utf-8")
        assert re.search(rf"def {test}\(", source), f"{file} has no {test}"


def test_every_decision_is_listed():
    listed = text_of(ROOT / "docs/decisions/README.md")
    for page in (ROOT / "docs/decisions").glob("0*.md"):
        assert f"({page.name})" in listed
        assert headings(page)[0].startswith(page.name[:4])


def test_the_shipped_redis_user_is_shown_as_it_is():
    acl = ROOT / "plugins/store-redis/src/dsched_store_redis/dsched.acl"
    shown = [block.text for block in blocks_of(ROOT / "docs/usage.md") if block.language == "text"]
    assert acl.read_text(encoding="utf-8") in shown


def test_decisions_are_dated_and_numbered_without_a_hole_but_those_that_are_told():
    folder = ROOT / "docs/decisions"
    told = {
        int(number)
        for number in re.findall(r"\b0\d{3}\b", prose_of(folder / "README.md").split("- [")[0])
    }
    pages = sorted(folder.glob("0*.md"))
    numbers = [int(page.name[:4]) for page in pages]
    assert numbers == [n for n in range(1, numbers[-1] + 1) if n not in told]
    undated = [
        page.name for page in pages if not re.search(r"Decided \d{4}-\d\d-\d\d", text_of(page))
    ]
    assert undated == []
