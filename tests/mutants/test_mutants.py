"""The catalogue fits the code: each mutant applies, compiles, and is judged rightly."""

import re

import attrs
import pytest
from break_guards import counts, good_enough, report
from catalogue import (
    CATALOGUE,
    FAMILIES,
    ROOT,
    CatalogueError,
    chosen,
    files_of,
    mutated,
    read_catalogue,
)
from edits import Edit
from keeping import Kept
from killing import Killed, Scratch, command_of, together
from places import Sources

MUTANTS = read_catalogue()
SOURCES = Sources(ROOT)


@pytest.mark.parametrize("source", sorted({mutant.source for mutant in MUTANTS}))
def test_each_mutant_of_the_catalogue_applies_and_compiles(source):
    for mutant in [one for one in MUTANTS if one.source == source]:
        for path, text in mutated(mutant, SOURCES).items():
            assert text != path.read_text(), mutant.id
            if path.suffix == ".py":
                compile(text, f"{path} with {mutant.id}", "exec")
        assert mutant.guard, mutant.id
        assert mutant.killers, mutant.id
        for killer in mutant.killers:
            command = command_of(killer, mutant.family)
            files = [
                word.partition("::")[0]
                for word in command
                if word.startswith(("tests/", "plugins/"))
            ]
            assert [name for name in files if not (ROOT / name).exists()] == [], mutant.id


def test_no_place_has_a_folder_in_its_name():
    assert [one.id for one in MUTANTS for edit in one.edits if "/" in edit.place] == []


def test_the_entry_that_the_page_shows_is_one_of_the_catalogue():
    page = (ROOT / "docs" / "reliability.md").read_text()
    (shown,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    assert any(shown in path.read_text() for path in CATALOGUE.glob("*.toml"))


def test_there_are_enough_of_them_in_each_family():
    singles = [mutant for mutant in MUTANTS if not mutant.pair]
    assert len(singles) >= 60
    for family in FAMILIES:
        of = chosen(MUTANTS, families=[family])
        assert sum(mutant.pair for mutant in of) >= 5
        assert sum(not mutant.pair for mutant in of) >= 40


def test_the_ones_asked_for_are_chosen():
    one = MUTANTS[0]
    assert chosen(MUTANTS, only=[one.id]) == [one]
    assert one in chosen(MUTANTS, files=files_of(one, SOURCES), sources=SOURCES)
    assert chosen(MUTANTS, files=set(), sources=SOURCES) == []


def test_what_the_catalogue_cannot_mean_is_refused_by_its_name(tmp_path):
    guard = 'guard = "g"\nkillers = ["contract x"]\n'
    for text, said in [
        ('[a]\nmemroy = { in = "f", drop = "x" }\n', "a.toml: a has unknown keys .'memroy'."),
        ("[a]\n", "a.toml: a changes nothing"),
        ('[a]\nmemory = { in = "f" }\n', "a.toml: memory-a: .* one of drop, never"),
        ('[a]\nmemory = { in = "f", drop = "x", by = "y" }\n', "'by' belongs to 'find' and 'text'"),
        ('[[pair]]\nof = ["b", "c"]\nmemory = []\n', "memory-b, memory-c, which is not there"),
    ]:
        (tmp_path / "a.toml").write_text(text if "pair" in text else text + guard)
        with pytest.raises(CatalogueError, match=said):
            read_catalogue(tmp_path)


def test_an_id_is_given_once(tmp_path):
    text = '[a]\nguard = "g"\nkillers = ["x"]\nredis = { in = "f.lua", drop = "x" }\n'
    for name in ("one.toml", "two.toml"):
        (tmp_path / name).write_text(text)
    with pytest.raises(CatalogueError, match=r"redis-a is in one\.toml and two\.toml"):
        read_catalogue(tmp_path)


def test_a_family_may_have_killers_of_its_own(tmp_path):
    (tmp_path / "a.toml").write_text(
        '[a]\nguard = "g"\nkillers = ["contract x"]\n'
        'redis = { in = "f.lua", drop = "x", killers = ["contract y"] }\n'
        'sqlite = { in = "f", drop = "x" }\n'
    )
    sqlite, redis = read_catalogue(tmp_path)
    assert (sqlite.killers, redis.killers) == (("contract x",), ("contract y",))


def test_a_shape_that_is_gone_is_said_with_its_file_in_the_catalogue():
    (one,) = chosen(MUTANTS, only=["memory-no-fence"])
    gone = attrs.evolve(one, edits=(attrs.evolve(one.edits[0], shape="no_such(thing)"),))
    with pytest.raises(CatalogueError, match=rf"{one.source}: memory-no-fence: .* found 0 times"):
        mutated(gone, SOURCES)
    assert (CATALOGUE / one.source).is_file()


def test_killers_are_tried_together_only_where_they_choose_tests_of_one_file():
    killers = [
        ("contract 'a or b'", "redis"),
        ("contract c", "memory"),
        ("contract c", "redis"),
        ("sweep --only fires", "memory"),
        ("test f.py", "engine"),
        ("test f.py -k 'd and e'", "engine"),
        ("test f.py -k g", "engine"),
    ]
    groups = together(killers)
    assert sorted(killer for one in groups for killer in one.of) == killers
    assert [one.killer for one in groups] == [
        "sweep --only fires",
        "test f.py",
        "contract '(a or b) or (c)'",
        "contract '(c)'",
        "test f.py -k '(d and e) or (g)'",
    ]
    assert command_of(groups[2].killer, "redis")[-2:] == ["-k", "(a or b) or (c)"]


def test_survivors_lower_the_share_unless_they_are_explained():
    single = next(mutant for mutant in MUTANTS if not mutant.pair and not mutant.equivalent)
    pair = next(mutant for mutant in MUTANTS if mutant.pair)
    killed = [Killed(mutant=single, by="contract")] * 19
    assert good_enough([*killed, Killed(mutant=single)])
    assert not good_enough([*killed[1:], Killed(mutant=single)])
    assert not good_enough([*killed, Killed(mutant=pair)])
    explained = attrs.evolve(single, equivalent="the same in other words")
    assert good_enough([*killed, Killed(mutant=explained), Killed(mutant=explained)])
    assert counts(killed)[single.family] == (19, 19, 0, 0)
    assert "nothing noticed" in report([Killed(mutant=single)])[-1]


def test_a_run_that_was_stopped_goes_on_with_what_it_has_not_tried(tmp_path):
    one, two, three = MUTANTS[:3]
    kept = Kept(tmp_path / "kept" / "results.jsonl", "abc")
    assert kept.of(MUTANTS) == []
    kept.add(Killed(mutant=one, by=one.killers[0], seconds=1.5))
    kept.add(Killed(mutant=two))
    kept.add(Killed(mutant=three, broken="its killer fails by itself"))
    with kept.path.open("a") as file:
        file.write('{"commit": "abc", "id": "cut')
    found = kept.of(MUTANTS)
    assert [(each.mutant.id, each.survived) for each in found] == [(one.id, False), (two.id, True)]
    kept.add(Killed(mutant=three))
    assert [each.mutant.id for each in kept.of(MUTANTS)] == [one.id, two.id, three.id]
    assert Kept(kept.path, "another").of(MUTANTS) == []


@pytest.mark.slow
def test_a_mutant_is_killed_in_a_copy_and_the_tree_stays_as_it_was(tmp_path):
    (mutant,) = chosen(MUTANTS, only=["memory-no-fence"])
    (file,) = files_of(mutant, SOURCES)
    before = (ROOT / file).read_text()
    scratch = Scratch(tmp_path)
    assert scratch.attack(mutant).by == mutant.killers[0]
    assert (tmp_path / file).read_text() == (ROOT / file).read_text() == before
    (edit,) = mutant.edits
    harmless = attrs.evolve(
        mutant,
        edits=(
            Edit(
                base=edit.base,
                place=edit.place,
                verb="find",
                shape=edit.shape,
                by=f"bool({edit.shape})",
            ),
        ),
    )
    assert scratch.attack(harmless).survived
    broken = attrs.evolve(mutant, killers=("contract no_such_test",))
    assert scratch.attack(broken).broken
