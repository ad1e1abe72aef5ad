"""Reading YAML from outside: bounds, duplicates, lines."""

import time
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsched.config import ConfigError
from dsched.config.yaml_reader import MAX_BYTES, parse_value, parse_yaml, read_yaml

LAUGHS = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 20)
)
MERGES = "a0: &a0 {x: 1}\n" + "".join(
    f"a{i}: &a{i} {{<<: [*a{i - 1}, *a{i - 1}], k{i}: 1}}\n" for i in range(1, 60)
)
DEEP_BY_ALIAS = "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}]\n" for i in range(1, 80))

BOMBS = {
    "a billion laughs": (LAUGHS, 6, "has more than 200000 values once aliases are followed"),
    "merge keys that double": (MERGES, 16, "has more than 200000 values once aliases"),
    "lists in lists": ("[" * 100_000, 1, "is nested deeper than 64 levels"),
    "mappings in mappings": ("{a: " * 100_000, 1, "is nested deeper than 64 levels"),
    "depth through aliases": (DEEP_BY_ALIAS, 65, "is nested deeper than 64 levels"),
    "an alias of itself": ("a: &a\n  - *a\n", 1, "has an alias that contains itself"),
    "aliases without end": (
        "- &a x\n" + "- *a\n" * 1001,
        1002,
        "uses more than 1000 aliases (*name)",
    ),
}


@pytest.mark.parametrize("case", BOMBS)
def test_a_bomb_is_refused_within_100_ms_of_processor_time(case: str) -> None:
    text, line, reason = BOMBS[case]
    start = time.process_time()
    with pytest.raises(ConfigError) as caught:
        parse_yaml(text.encode(), "bomb.yaml")
    assert time.process_time() - start < 0.1
    (problem,) = caught.value.problems
    assert (problem.file, problem.path, problem.line) == ("bomb.yaml", "", line)
    assert reason in problem.reason


def test_more_bytes_than_the_bound_are_not_even_parsed(write: Any) -> None:
    with pytest.raises(ConfigError, match="has more than 1048576 bytes; split it"):
        read_yaml(write(b"[" * (MAX_BYTES + 1)))


def test_more_values_than_the_bound_are_refused() -> None:
    with pytest.raises(ConfigError, match="has more than 200000 values; split it"):
        parse_yaml(b"- 1\n" * 210_000, "x.yaml")


UNREADABLE = {
    "broken syntax": (b"a: [1,\nb: }", "x.yaml:2: is not YAML: did not find expected node content"),
    "a control character": (b"a: \x01", "x.yaml: is not YAML: control characters are not allowed"),
    "an unknown alias": (b"a: *b", "x.yaml:1: is not YAML: found undefined alias"),
    "another encoding": (b"a: 1\nb: \xff", "x.yaml:2: is not UTF-8 text; save it as UTF-8"),
    "two documents": (
        b"a: 1\n---\nb: 1\n",
        "x.yaml:2: has several documents (---); keep one a file",
    ),
}


@pytest.mark.parametrize("case", UNREADABLE)
def test_what_cannot_be_read_is_refused_with_its_line(case: str) -> None:
    content, message = UNREADABLE[case]
    with pytest.raises(ConfigError) as caught:
        parse_yaml(content, "x.yaml")
    assert str(caught.value) == message


def test_a_missing_file_and_a_folder_are_refused(write: Any, refused: Any) -> None:
    write("")
    (problem,) = refused(read_yaml, "nope.yaml")
    assert problem == (
        "nope.yaml",
        "",
        "cannot be read: No such file or directory; check the path and its mode",
    )
    ((_, _, reason),) = refused(read_yaml, ".")
    assert reason == "cannot be read: Is a directory; check the path and its mode"


FLAWED = {
    "a: 1\nb: {c: 1, d: 2, c: 3}\n": (2, "b.c", "is there twice, first in line 2; remove one"),
    "a: 1\nb: 2\na: 3\n": (3, "a", "is there twice, first in line 1; remove one"),
    "1: x\n'a': !!python/object/apply:os.system ['true']\n": (
        2,
        "a",
        "has the tag 'tag:yaml.org,2002:python/object/apply:os.system', which is not allowed",
    ),
    "a: !!binary aGk=": (1, "a", "has the tag 'tag:yaml.org,2002:binary', which is not allowed"),
    "a: !mine x": (1, "a", "has the tag '!mine', which is not allowed"),
    "a: !!int x": (
        1,
        "a",
        "cannot be read: invalid literal for int() with base 10: 'x'; quote it if it is text",
    ),
    "a: " + "1:1" * 100_000: (
        1,
        "a",
        "is too long for a number or a date; quote it if it is text",
    ),
    "? [a]\n: 1": (1, "", "has a key that is a list or a mapping; use plain text"),
    "a: {<<: 3}": (1, "a", "merges (<<) something that is no mapping"),
}


@pytest.mark.parametrize("text", FLAWED, ids=lambda text: text[:20])
def test_a_flaw_is_noted_and_the_rest_is_read(text: str) -> None:
    line, path, reason = FLAWED[text]
    (problem,) = parse_yaml(text.encode(), "x.yaml").problems
    assert (problem.line, problem.path, problem.reason) == (line, path, reason)


def test_no_code_of_a_tag_runs(tmp_path: Any) -> None:
    target = tmp_path / "ran"
    parse_yaml(f"a: !!python/object/apply:os.mkdir ['{target}']".encode(), "x.yaml")
    assert not target.exists()


def test_plain_values_anchors_and_merges_are_read() -> None:
    text = "d: &d {x: 1, y: [true, null, 1.5]}\ne: {<<: *d, y: 3}\nf: *d\n"
    document = parse_yaml(text.encode(), "x.yaml")
    assert document.problems == ()
    assert document.data == {
        "d": {"x": 1, "y": [True, None, 1.5]},
        "e": {"x": 1, "y": 3},
        "f": {"x": 1, "y": [True, None, 1.5]},
    }
    assert document.line_of(("e", "y")) == 2
    assert document.line_of(("f", "nowhere", 3)) == 3


def test_a_byte_order_mark_is_no_part_of_the_text() -> None:
    assert parse_yaml(b"\xef\xbb\xbfa: 1", "x.yaml").data == {"a": 1}


def test_an_empty_file_has_no_data() -> None:
    assert parse_yaml(b"# nothing\n", "x.yaml").data is None


def test_an_impossible_date_stays_text_for_whoever_wants_a_date() -> None:
    assert parse_yaml(b"a: 2026-02-30\n", "x.yaml").data == {"a": "2026-02-30"}


@pytest.mark.parametrize(
    ("text", "value"),
    [("3", 3), ("[a, 1]", ["a", 1]), ("true", True), ("a: [", "a: ["), ("", None)],
)
def test_a_variable_is_read_as_the_value_it_stands_for(text: str, value: object) -> None:
    assert parse_value(text) == value


@given(st.binary(max_size=200))
def test_any_bytes_are_either_read_or_refused(content: bytes) -> None:
    with suppress(ConfigError):
        assert parse_yaml(content, "x.yaml").file == "x.yaml"


@given(st.text(alphabet="ab&*<:{}[]-? \n'\"!|>#,1", max_size=60))
def test_any_punctuation_is_either_read_or_refused(text: str) -> None:
    with suppress(ConfigError):
        assert parse_yaml(text.encode(), "x.yaml").file == "x.yaml"
