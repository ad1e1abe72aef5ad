"""A mutant finds its guard by the name of its place and the shape of its code, wherever that
stands."""

import ast

import pytest
from edits import Edit, EditError, edited, place_of
from places import Sources

CLAIMER = '''
"""A module."""

LIMIT = 3
SQL = (
    "SELECT id FROM tasks "
    "WHERE at_ms <= ? ORDER BY id"
)


class Claimer:
    """Claims."""

    def claim(self, limit):
        """Some text
        of two lines."""
        if self.stopping or limit == 0 or self.cut_off:
            return []
        self.number += 1
        self.told.set()
        with self.within(LIMIT):
            found = self.store.claim(
                self.number,  # a number of its own
                limit=min(limit, LIMIT),
            )
        try:
            self.probe(strict=True)
        except ValueError as error:
            raise OSError from error
        if found:
            self.told.set()
        elif self.deaf:
            self.look()
        else:
            self.rest()
        return found


def fire(due):
    return due - 1
'''

FIRE = """
local refused = fenced(ARGV[2])
if refused then
  return refused
end

local function overlap(one)
  -- the policy
  if one.live == 0 then
    return 'fired'
  elseif one.held then
    return 'skipped'
  end
end

local function other(one)
  if one.live == 0 then
    return 'none'
  end
end
"""


@pytest.fixture
def tree(tmp_path):
    for name, text in (("deep/er/claiming.py", CLAIMER), ("scripts/fire.lua", FIRE)):
        path = tmp_path / "src" / name
        path.parent.mkdir(parents=True)
        path.write_text(text)
    return tmp_path


def _after(tree, place, *, by="", **verb):
    ((name, shape),) = verb.items()
    edit = Edit(base="src", place=place, verb=name, shape=shape, by=by)
    sources = Sources(tree)
    found = place_of(edit, sources)
    return edited(edit, sources.texts("src")[found.path], found)


def _same(after, old, new):
    """Whether it is the claimer with one text replaced, formatting aside."""
    assert CLAIMER.count(old) == 1
    return ast.dump(ast.parse(after)) == ast.dump(ast.parse(CLAIMER.replace(old, new)))


CALL = """self.store.claim(
                self.number,  # a number of its own
                limit=min(limit, LIMIT),
            )"""
CHANGES = [
    # a condition
    ({"never": "self.cut_off"}, None, "self.cut_off", "False"),
    ({"always": "self.deaf"}, None, "self.deaf", "True"),
    # formatting, comments and keywords' lines do not matter
    (
        {"find": "self.store.claim(self.number, limit=min(limit,LIMIT))"},
        "[]",
        CALL,
        "[]",
    ),
    # dropped: a statement, an operand, an argument, a keyword
    ({"drop": "self.number += 1"}, None, "        self.number += 1\n", ""),
    ({"drop": "limit == 0"}, None, " or limit == 0", ""),
    ({"drop": "self.number"}, None, "self.number,  # a number of its own", ""),
    ({"drop": "limit=min(limit, LIMIT)"}, None, "limit=min(limit, LIMIT),", ""),
    # the only statement of a block leaves an empty block
    ({"drop": "self.look()"}, None, "self.look()", "pass"),
    # of an if its branch
    ({"drop": "if self.deaf: ..."}, None, "        elif self.deaf:\n            self.look()\n", ""),
    # a wildcard stands for an expression, the arguments, a block; and is put back
    ({"find": "self.store.claim(...)"}, "claim(...)", "self.store.claim(", "claim("),
    ({"find": "... or limit == 0 or ..."}, "self.cut_off", "self.stopping or limit == 0 or ", ""),
    ({"find": "self.within(...)"}, "nothing", "self.within(LIMIT)", "nothing"),
    # an argument by its name; a clause of a try
    ({"find": "strict=True"}, "strict=False", "strict=True", "strict=False"),
    (
        {"find": "except ValueError as error: ..."},
        "except KeyError: pass",
        "except ValueError as error:\n            raise OSError from error",
        "except KeyError: pass",
    ),
    # what stands beside it tells two apart
    (
        {"find": "self.number += 1\nself.told.set()"},
        "self.number += 1",
        "        self.number += 1\n        self.told.set()\n",
        "        self.number += 1\n",
    ),
]


@pytest.mark.parametrize(("verb", "by", "old", "new"), CHANGES)
def test_a_shape_is_changed_where_it_stands(tree, verb, by, old, new):
    after = _after(tree, "Claimer.claim", by=by or "", **verb)
    assert _same(after, old, new)
    assert after.startswith(CLAIMER[: CLAIMER.index("    def claim")])
    assert after.endswith(CLAIMER[CLAIMER.index("\n\ndef fire") :])


def test_a_block_is_unwrapped(tree):
    after = _after(tree, "Claimer.claim", find="with self.within(LIMIT): ...", by="...")
    assert "with" not in after
    assert "        found = self.store.claim(self.number, limit=min(limit, LIMIT))" in after


def test_several_things_do_not_take_the_place_of_one(tree):
    with pytest.raises(EditError, match=r"'...' stood for several"):
        _after(tree, "Claimer.claim", find="min(...)", by="...")


def test_texts_of_several_lines_stay_as_they_are(tree):
    after = _after(tree, "Claimer.claim", drop="self.number += 1")
    assert '"""Some text\n        of two lines."""' in after


def test_a_part_of_a_string_is_found_whatever_its_lines_are(tree):
    after = _after(tree, "SQL", text="FROM tasks   WHERE at_ms <= ?", by="FROM tasks")
    assert "SELECT id FROM tasks ORDER BY id" in after


def test_a_file_that_moved_or_was_reformatted_is_still_found(tree):
    wanted = ast.dump(ast.parse(_after(tree, "fire", find="due - 1", by="due")))
    old = tree / "src" / "deep" / "er" / "claiming.py"
    new = tree / "src" / "elsewhere" / "claims.py"
    new.parent.mkdir()
    new.write_text(
        old.read_text().replace("return due - 1", "return (\n        due  # at\n        - 1\n    )")
    )
    old.unlink()
    assert ast.dump(ast.parse(_after(tree, "fire", find="due-1", by="due"))) == wanted


def test_a_name_of_several_places_is_refused_until_its_module_is_named(tree):
    (tree / "src" / "misfire.py").write_text("def fire(due):\n    return due - 1\n")
    with pytest.raises(EditError, match=r"2 places named fire, in .*claiming\.py.*'claiming.fire'"):
        _after(tree, "fire", find="due - 1", by="due")
    assert _after(tree, "misfire.fire", find="due - 1", by="due").endswith("return due\n")


def test_places_of_one_name_that_no_module_tells_apart_are_refused_with_what_does(tree):
    (tree / "src" / "claiming.py").write_text("def stop():\n    pass\n\n\ndef stop():\n    go()\n")
    with pytest.raises(EditError, match=r"named stop, in src/claiming\.py. Name all of the file"):
        _after(tree, "stop", drop="go()")
    with pytest.raises(EditError, match=r"named claiming\.py, .* Name a function in one of them"):
        _after(tree, "claiming.py", drop="go()")


def test_a_name_that_is_gone_is_said_with_what_to_do(tree):
    with pytest.raises(EditError, match=r"no Claimer\.stop in src\. Where it was renamed, give"):
        _after(tree, "Claimer.stop", drop="x")


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ("self.told.clear()", "found 0 times in Claimer.claim .claiming.py, line 14"),
        ("self.told.set()", r"found 2 times \(lines 20, 31\) in Claimer.claim .*add what stands"),
        ("if self.told", "is no Python .expected ':'., so it is not found in Claimer.claim"),
        ("self.store", "is part of a Attribute and cannot be dropped alone"),
    ],
)
def test_a_shape_that_is_gone_twice_there_or_a_mere_part_is_refused(tree, shape, said):
    with pytest.raises(EditError, match=said):
        _after(tree, "Claimer.claim", drop=shape)


def test_a_change_that_changes_nothing_is_refused(tree):
    with pytest.raises(EditError, match="what it was before"):
        _after(tree, "fire", find="due - 1", by="due-1")


def test_a_script_is_changed_by_its_words(tree):
    after = _after(tree, "fire.lua", drop="elseif one.held then return 'skipped'")
    assert "'skipped'" not in after
    assert _after(tree, "fire.lua", never="refused then return refused").count("false") == 1
    with pytest.raises(EditError, match=r"'one\.live == 0' is found 2 times in fire.lua"):
        _after(tree, "fire.lua", never="one.live == 0")
    with pytest.raises(EditError, match="found 0 times"):
        _after(tree, "fire.lua", drop="fence")  # a part of a word


@pytest.mark.parametrize("place", ["overlap", "fire.overlap"])
def test_a_function_of_a_script_is_a_place(tree, place):
    assert "if false then\n    return 'fired'" in _after(tree, place, never="one.live  ==  0")


def test_all_of_a_module_is_a_place(tree):
    assert "LIMIT = 4" in _after(tree, "claiming.py", find="LIMIT = 3", by="LIMIT = 4")
