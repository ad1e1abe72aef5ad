"""A Chinese page says what its English source says, and cannot fall behind it unseen.

Its blocks are the English page's, which other tests of this folder run.
"""

import re
from itertools import pairwise

import attrs
import pytest
from chinese import (
    CHINESE,
    ENGLISH,
    MARK,
    OTHER,
    Section,
    chinese_of,
    code_blocks,
    is_code,
    place,
    relative,
    sections,
    source_of,
    translated,
)
from pages import ROOT, blocks_of, prose_of, tables, text_of

PAGES = translated()
IDS = [page.name for page in PAGES]
every_page = pytest.mark.parametrize("page", PAGES, ids=IDS)


def pairs(page):
    """Each section of a Chinese page with its English one."""
    return list(zip(sections(source_of(page)), sections(page), strict=True))


def behind(english: Section, chinese: Section) -> str | None:
    """What is to be done about a Chinese section that was not written from these English words."""
    if chinese.mark == english.digest:
        return None
    return (
        f"{english}: has changed since {chinese} was written from it. Say the same in Chinese, "
        f"then put <!-- en: {english.digest} --> below its heading"
    )


@every_page
def test_a_chinese_page_has_the_headings_of_its_source(page):
    levels = [[section.level for section in sections(one)] for one in (source_of(page), page)]
    assert levels[0] == levels[1]


@every_page
def test_every_section_was_written_from_the_english_words_that_stand_there_now(page):
    found = [said for english, chinese in pairs(page) if (said := behind(english, chinese))]
    assert not found, "\n".join(found)
    assert len(MARK.findall(text_of(page))) == len(sections(page))


def test_a_changed_english_section_is_named_with_what_to_do():
    english, chinese = pairs(CHINESE / "first-schedule.md")[1]
    assert behind(english, chinese) is None
    assert behind(attrs.evolve(english, body=english.body.replace(" ", "\n")), chinese) is None
    changed = attrs.evolve(english, body=english.body + "\nAnd one word more.\n")
    said = behind(changed, chinese)
    assert said is not None
    assert said.startswith("docs/first-schedule.md, ## Install: has changed since docs/zh/")
    assert f"<!-- en: {changed.digest} -->" in said


@every_page
def test_a_chinese_page_has_the_blocks_of_its_source_but_for_comments(page):
    assert code_blocks(page) == code_blocks(source_of(page))


@every_page
def test_comments_in_blocks_are_chinese_where_they_are_not_those_of_the_source(page):
    for block, source in zip(blocks_of(page), blocks_of(source_of(page)), strict=True):
        for line, original in zip(block.text.splitlines(), source.text.splitlines(), strict=True):
            assert line == original or not line.isascii(), line


@every_page
def test_the_links_of_a_section_lead_where_those_of_its_source_lead(page):
    for english, chinese in pairs(page):
        wanted = [place(link, of=english.page, seen_from=page) for link in english.links]
        assert chinese.links == sorted(wanted), str(chinese)


@every_page
def test_tables_and_lists_of_a_section_have_the_shape_of_those_of_its_source(page):
    for english, chinese in pairs(page):
        for row, source in zip(chinese.rows, english.rows, strict=True):
            assert len(row) == len(source), f"{chinese}: {row}"
            codes = [i for i, cell in enumerate(source) if is_code(cell)]
            assert [row[i] for i in codes] == [source[i] for i in codes], str(chinese)
        assert chinese.items == english.items, str(chinese)


@every_page
def test_a_section_names_the_keys_commands_and_values_that_its_source_names(page):
    for english, chinese in pairs(page):
        assert chinese.code - english.code == set(), str(chinese)
        assert english.code - chinese.code == set(), str(chinese)


@every_page
def test_a_page_and_its_source_lead_to_one_another(page):
    for one, other in ((page, source_of(page)), (source_of(page), page)):
        (link,) = OTHER.findall(text_of(one)) or ("missing",)
        assert f"({relative(other, one.parent)})" in link, one


@pytest.mark.parametrize("page", [*PAGES, CHINESE / "index.md"], ids=lambda page: page.name)
def test_no_paragraph_is_broken_and_every_bold_word_ends(page):
    """A line break would show as a space; bold that ends on a mark before a word does not end."""
    alone = re.compile(r"\||- |\d+\. |<!-- |#")
    for before, after in pairwise(prose_of(page).splitlines()):
        apart = not before or not after or alone.match(before) or alone.match(after)
        assert apart, f"one paragraph, two lines: {after}"
        assert not re.search(r"[（）、，。：]\*\*\w", after), after


def test_the_chinese_readme_and_contents_lead_to_every_chinese_page():
    said = text_of(CHINESE / "index.md")
    assert [page.name for page in PAGES if f"]({page.name})" not in said] == []
    named = text_of(ENGLISH / "index.md")
    assert [page.name for page in PAGES if f"](zh/{page.name})" not in named] == []
    assert chinese_of(ROOT / "README.md") == ROOT / "README.zh-CN.md"


def test_every_term_of_the_glossary_is_used():
    """A word that no page uses is not the word that the pages use."""
    words = [row[0] for row in tables(CHINESE / "index.md", "## 术语")]
    assert len(words) == len(set(words)) > 30
    prose = "".join(prose_of(page) for page in PAGES)
    assert [word for word in words if word not in prose] == []


# What Chinese texts elsewhere call it: here it has the other name, or means something else.
OTHERWISE = {
    "触发器": "触发方式", "领导者": "主节点", "工作者": "工作节点", "租期": "租约", "重迭": "重叠",
    "警报": "告警", "报警": "告警", "回填": "补跑", "派发": "分派", "下发": "分派",
    "作用域": "权限范围",
}  # fmt: skip


@every_page
def test_a_page_calls_a_thing_what_the_glossary_calls_it(page):
    prose = prose_of(page)
    assert {word: right for word, right in OTHERWISE.items() if word in prose} == {}
