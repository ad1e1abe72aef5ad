"""Every known failure mode is mapped to a test that exists, or says why it is not."""

import attrs
from maps import is_there, problems_of, rows_of
from pages import ROOT

PAGE = ROOT / "docs/reliability.md"
LAST = 78


def test_every_failure_mode_is_mapped_once_to_tests_that_exist():
    assert problems_of(rows_of(PAGE), "F", LAST) == []


def test_few_modes_are_excused():
    bare = [row.id for row in rows_of(PAGE) if not row.tests]
    assert bare == ["F58"]


def test_a_map_with_a_hole_a_double_or_a_wrong_test_is_noticed():
    rows = rows_of(PAGE)
    assert problems_of(rows[1:], "F", LAST) != []
    assert problems_of([*rows, rows[0]], "F", LAST) != []
    wrong = attrs.evolve(rows[0], tests=((rows[0].tests[0][0], "test_that_is_not_there"),))
    assert problems_of([wrong, *rows[1:]], "F", LAST) != []
    bare = attrs.evolve(rows[0], tests=(), cells=(*rows[0].cells[:2], ""))
    assert problems_of([bare, *rows[1:]], "F", LAST) == ["F01 names no test, and does not say why"]
    assert not is_there("tests/docs/no_such_file.py", "test_x")
