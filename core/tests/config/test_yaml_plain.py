"""What is read straight from events is read as the closer look reads it: values, types, lines."""

from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from dsched.config import yaml_reader
from dsched.config.yaml_plain import UnusualError, plain_data
from dsched.config.yaml_reader import parse_yaml

TASKS = "tasks:\n" + "".join(
    f"  - id: job-{number}\n    cron_expr: '{number % 60} 2 * * *'\n    timeout: 2m\n"
    f"    payload: {{order: {number}, at: 2026-01-31, note: [yes, ~, 1.5, 0o7, 0x1F]}}\n"
    for number in range(200)
)

TEXTS = st.one_of(
    st.text(alphabet="ab <=~.:-#'\"0123456789exnoyT_+", max_size=12),
    st.sampled_from(["", "1:30", "1e3", "<<", "=", "no", "~", "2026-02-30", "2026-01-31", "0o17"]),
    st.from_regex(r"[0-9]{4}-[0-9]{2}-[0-9]{2}( [0-9]{2}:[0-9]{2}:[0-9]{2})?", fullmatch=True),
)
VALUES = st.recursive(
    st.one_of(TEXTS, st.integers(), st.floats(), st.booleans(), st.none(), st.dates()),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=20,
)
STYLES = st.sampled_from([None, True, False])


def _typed(value: Any) -> Any:
    """A value with its types, so that 1 is not true and NaN is itself."""
    if isinstance(value, dict):
        return [(_typed(key), _typed(item)) for key, item in value.items()]
    if isinstance(value, list):
        return [_typed(item) for item in value]
    return type(value), repr(value)


def _same_as_closer_look(text: str) -> bool:
    """Compare, where the text is built from events at all."""
    try:
        plain = plain_data(text)
    except (UnusualError, yaml.YAMLError):
        return False
    yaml_reader._check_events(text, "x.yaml")
    closer = yaml_reader._read_document(text, "x.yaml")
    assert _typed(plain) == _typed(closer.data)
    assert not closer.problems
    read = parse_yaml(text.encode(), "x.yaml")
    assert dict(read.lines) == dict(closer.lines)
    return True


@given(VALUES, STYLES, st.sampled_from([None, "'", '"', "|"]))
def test_what_a_program_writes_is_read_alike(value: Any, flow: bool, quote: str | None) -> None:
    _same_as_closer_look(
        yaml.safe_dump(value, default_flow_style=flow, default_style=quote, allow_unicode=True)
    )


@given(st.lists(st.tuples(TEXTS, TEXTS), max_size=5), st.sampled_from(["\n", "\n  "]))
@example([("a", "1"), ("a", "2")], "\n")
def test_what_a_person_types_is_read_alike(pairs: list[tuple[str, str]], gap: str) -> None:
    _same_as_closer_look("".join(f"{key}:{gap}{value}\n" for key, value in pairs))


def test_task_files_are_built_from_their_events(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _same_as_closer_look(TASKS)
    looks: list[str] = []
    closer = yaml_reader._read_document

    def counted(text: str, file: str) -> Any:
        looks.append(file)
        return closer(text, file)

    monkeypatch.setattr(yaml_reader, "_read_document", counted)
    document = parse_yaml(TASKS.encode(), "x.yaml")
    assert document.data["tasks"][7]["payload"]["order"] == 7
    assert looks == [], "nodes are made of no file that is in order"
    problem = document.problem(("tasks", 199, "timeout"), "is too short")
    assert str(problem) == "x.yaml:800: tasks[199].timeout: is too short"
    document.problem(("tasks", 3), "is odd")
    assert looks == ["x.yaml"], "the lines are found once, when something is wrong"


UNUSUAL = {
    "an alias": "a: &a 1\nb: *a\n",
    "a tag": "a: !!str 1\n",
    "a merge": "a: {<<: {b: 1}}\n",
    "the value of a mapping": "a: =\n",
    "a key twice": "a: 1\na: 2\n",
    "a key that is a number": "1: a\n",
    "a key that is a list": "? [a]\n: 1\n",
    "a date that there is not": "a: 2026-02-30\n",
    "a long number": f"a: {'1' * 101}\n",
    "two documents": "a: 1\n---\nb: 1\n",
    "a directive": "%YAML 1.1\n---\na: 1\n",
    "nothing": "# nothing\n",
    "lists below lists": "[" * 65 + "]" * 65,
    "more values than may be": "- 1\n" * 200_001,
}


@pytest.mark.parametrize("case", UNUSUAL)
def test_what_is_unusual_takes_the_closer_look(case: str) -> None:
    with pytest.raises(UnusualError):
        plain_data(UNUSUAL[case])
