"""The page about the protocol says what the contract says: steps, outcomes, events, states."""

import inspect
import re
from typing import get_args, get_type_hints

import attrs
import pytest
from pages import ROOT, prose_of, tables

from dsched.config.durations import format_duration
from dsched.config.settings import Settings
from dsched.contracts.store import Store
from dsched.contracts.store.events import EventKind
from dsched.contracts.store.outcomes import Outcome
from dsched.model.status import BIRTH, TRANSITIONS, Home, TaskStatus

PAGE = ROOT / "docs/protocol.md"
STEPS = "## The steps of the store"
# Any step may write it: the rule stands above the tables.
BY_ANY_STEP = {EventKind.CLOCK_BACK}
LISTED = re.compile(r"[Ee]vents?:? ((?:``\w+``(?: ``\w+``)?,? ?(?:and )?\s*)+)")


def groups():
    """The tables of steps: each heading, and the rows below it."""
    section = prose_of(PAGE).partition(f"\n{STEPS}\n")[2]
    section = re.split(r"^## ", section, maxsplit=1, flags=re.MULTILINE)[0]
    names = re.findall(r"^### (.*)$", section, re.MULTILINE)
    return {name: tables(PAGE, f"### {name}") for name in names}


ROWS = {row[0].strip("`"): row[1:] for rows in groups().values() for row in rows}


def words(cell):
    """The words in code type of a cell."""
    return re.findall(r"`(\w+)`", cell)


def told(step):
    """What the contract says about a step."""
    return inspect.getdoc(getattr(Store, step)) or ""


def told_of_answers(step):
    """What the contract says about the values that a step answers with."""
    answer = get_type_hints(getattr(Store, step))["return"]
    values = [one for one in (answer, *get_args(answer)) if attrs.has(one)]
    return " ".join(inspect.getdoc(value) or "" for value in values)


def test_each_group_of_the_contract_has_a_table_with_a_row_for_each_of_its_steps():
    shown = {
        name.replace(" ", "").lower(): sorted(row[0].strip("`") for row in rows)
        for name, rows in groups().items()
    }
    wanted = {
        group.__name__.lower(): sorted(group.__abstractmethods__) for group in Store.__bases__
    }
    assert shown == wanted
    assert set(ROWS) == Store.__abstractmethods__


def test_every_outcome_that_a_row_names_is_one():
    for step, (_, answers, repeat, _) in ROWS.items():
        found = [word for word in words(answers) + words(repeat) if word.isupper()]
        assert set(found) <= set(Outcome.__members__), step
    named = {word for row in ROWS.values() for cell in row for word in words(cell)}
    assert set(Outcome.__members__) <= named


@pytest.mark.parametrize("step", sorted(ROWS))
def test_a_row_names_every_outcome_that_the_contract_names(step):
    _, answers, repeat, _ = ROWS[step]
    text = f"{told(step)} {told_of_answers(step)}"
    wanted = {word for word in re.findall(r"``(\w+)``", text) if word in Outcome.__members__}
    assert wanted - set(words(answers) + words(repeat)) == set()


@pytest.mark.parametrize("step", sorted(ROWS))
def test_a_row_says_of_its_step_whether_it_takes_the_fence(step):
    taken = "fence" in inspect.signature(getattr(Store, step)).parameters
    assert ROWS[step][0].startswith("the fence") == taken


@pytest.mark.parametrize("step", sorted(ROWS))
def test_a_row_names_every_entry_of_the_log_that_the_contract_names(step):
    kinds = {kind.value for kind in EventKind}
    listed = " ".join(LISTED.findall(told(step)))
    wanted = {word for word in re.findall(r"``(\w+)``", listed) if word in kinds}
    written = set(words(ROWS[step][3]))
    assert written <= kinds
    assert wanted <= written
    assert (ROWS[step][3] == "nothing") == (not written)
    if "Writes no event" in told(step):
        assert not written


def test_every_kind_of_entry_is_written_by_some_step():
    written = {word for row in ROWS.values() for word in words(row[3])}
    assert written == {kind.value for kind in set(EventKind) - BY_ANY_STEP}


def test_the_table_of_states_is_the_table_of_transitions():
    def state(cell):
        status, _, home = cell.partition(", ")
        return TaskStatus(status), Home(home) if home else None

    rows = tables(PAGE, "## States of a task")
    edges = [(None if a == "new" else state(a), state(b)) for a, b, _ in rows]
    expected = {(None, after) for after in BIRTH}
    expected |= {(before, after) for before, to in TRANSITIONS.items() for after in to}
    assert set(edges) == expected
    assert len(edges) == len(expected)
    named = {word for row in rows for word in words(row[2]) if word != "on_crash"}
    assert named <= Store.__abstractmethods__


def test_the_times_are_the_defaults():
    sections = Settings()
    rows = [row for row in tables(PAGE, "## Leadership") if "." in row[0]]
    assert len(rows) >= 8
    for name, shown, *_ in rows:
        section, _, field = name.strip("`").partition(".")
        assert format_duration(getattr(getattr(sections, section), field)) == shown, name


def test_the_glossary_defines_each_word_once_in_the_order_of_letters():
    found = [row[0] for row in tables(PAGE, "## Glossary")]
    assert found == sorted(set(found))
    assert {home.value for home in Home} <= set(found)
