"""Templates: references in the texts of a payload."""

import pytest

from dsched.model.templates import (
    MAX_RENDERED_BYTES,
    Path,
    TemplateError,
    has_templates,
    look_up,
    references,
    render,
)

SCOPE = {
    "fire": {"date": "2026-11-30", "ms": 1},
    "shard": {"index": 3, "total": 8},
    "needs": {"load": {"data": {"rows": [1, {"n": "two"}], "none": None, "yes": True}}},
}


def rendered(value: object) -> object:
    return render(value, lambda path: look_up(SCOPE, path))


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ("${shard.index}", 3),
        ("part ${shard.index} of ${shard.total}", "part 3 of 8"),
        ("${needs.load.data.rows}", [1, {"n": "two"}]),
        ("${needs.load.data.rows.1.n}", "two"),
        ("rows: ${needs.load.data.rows}", 'rows: [1,{"n":"two"}]'),
        ("${needs.load.data.none}", None),
        ("<${needs.load.data.none}|${needs.load.data.yes}>", "<null|true>"),
        ("$${shard.index}", "${shard.index}"),
        ("$${a} ${fire.date}", "${a} 2026-11-30"),
        ("${ fire.date }", "2026-11-30"),
        ("costs $5 {and} more", "costs $5 {and} more"),
    ],
)
def test_a_reference_is_replaced_by_what_it_names(template: str, value: object) -> None:
    assert rendered(template) == value


def test_texts_are_rendered_at_any_depth_and_keys_are_literals() -> None:
    payload = {"${a}": ["${shard.index}", {"x": "${fire.date}"}], "n": 1, "t": True}
    assert rendered(payload) == {"${a}": [3, {"x": "2026-11-30"}], "n": 1, "t": True}


def test_what_was_put_in_is_not_looked_at_again() -> None:
    assert render("${a} and ${a}", lambda _: "${b}") == "${b} and ${b}"
    assert render("${a}", lambda _: "$${b}") == "$${b}"


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("needs.load.data.row", "needs.load.data has no 'row'; it has none, rows, yes"),
        ("needs.load.data.rows.7", "needs.load.data.rows is a list of 2, and has no '7'"),
        ("needs.load.data.none.x", "needs.load.data.none is nothing"),
        ("fire.date.year", "fire.date is a str"),
        ("nothing", "a template has no 'nothing'"),
    ],
)
def test_a_reference_to_nothing_says_where_it_ends(path: str, said: str) -> None:
    with pytest.raises(TemplateError, match="names nothing") as refused:
        rendered(f"${{{path}}}")
    assert said in str(refused.value)


@pytest.mark.parametrize("text", ["${", "${a", "x ${shard.index", "${}", "${1 + 1}", "${a.b.}"])
def test_what_is_no_reference_is_refused(text: str) -> None:
    with pytest.raises(TemplateError, match=r"\$\$\{ for a literal"):
        references({"x": [text]})
    with pytest.raises(TemplateError):
        rendered(text)


def test_a_value_that_mentions_a_secret_is_refused() -> None:
    with pytest.raises(TemplateError, match="secret reference"):
        render("${a}", lambda _: {"token": "secret://env/TOKEN"})
    with pytest.raises(TemplateError, match="secret reference"):
        render("Bearer ${a}", lambda _: "secret://env/TOKEN")


def test_what_is_too_large_is_refused_one_by_one_and_together() -> None:
    with pytest.raises(TemplateError, match="hand on where it is"):
        render("${a}", lambda _: "x" * MAX_RENDERED_BYTES)
    with pytest.raises(TemplateError, match="the rendered payload"):
        render(["${a}", "${a}"], lambda _: "x" * (MAX_RENDERED_BYTES * 2 // 3))


def test_the_references_of_a_payload_are_each_named_once() -> None:
    found: tuple[Path, ...] = references(["${a.b} ${a.b}", {"k": "${c}"}, "$${d}", 3, None])
    assert found == (("a", "b"), ("c",))
    assert has_templates({"a": ["${x}"]})
    assert not has_templates({"${a}": ["$x", 1]})
