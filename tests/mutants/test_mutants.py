"""The catalogue fits the code: each mutant applies, compiles, and is judged rightly."""

import attrs
import pytest
from break_guards import counts, good_enough, report
from catalogue import ROOT, CatalogueError, Edit, chosen, mutated, read_catalogue
from killing import Killed, Scratch, command_of, together

MUTANTS = read_catalogue()


FILES = sorted({edit.file for mutant in MUTANTS for edit in mutant.edits})


@pytest.mark.parametrize("file", FILES)  # a test for each mutant would take longer than it checks
def test_each_mutant_of_a_file_applies_exactly_once_and_compiles(file):
    for mutant in chosen(MUTANTS, files={file}):
        for path, text in mutated(mutant, ROOT).items():
            assert text != path.read_text(), mutant.id
            if path.suffix == ".py":
                compile(text, f"{path} with {mutant.id}", "exec")
        assert mutant.guard, mutant.id
        assert mutant.killers, mutant.id
        for killer in mutant.killers:
            assert command_of(killer, mutant.family), mutant.id


def test_there_are_enough_of_them_in_each_family():
    singles = [mutant for mutant in MUTANTS if not mutant.pair]
    assert len(singles) >= 60
    for family in ("engine", "memory", "sqlite", "redis"):
        of = chosen(MUTANTS, families=[family])
        assert sum(mutant.pair for mutant in of) >= 5
        assert sum(not mutant.pair for mutant in of) >= 40


def test_the_ones_asked_for_are_chosen():
    one = MUTANTS[0]
    assert chosen(MUTANTS, only=[one.id]) == [one]
    assert one in chosen(MUTANTS, files=one.files)
    assert chosen(MUTANTS, files=set()) == []


def test_a_text_that_is_gone_is_said_so():
    edit = Edit(file="Makefile", text="no such text", by="another")
    with pytest.raises(CatalogueError, match="occurs 0 times"):
        mutated(attrs.evolve(MUTANTS[0], edits=(edit,)), ROOT)


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


@pytest.mark.slow
def test_a_mutant_is_killed_in_a_copy_and_the_tree_stays_as_it_was(tmp_path):
    (mutant,) = chosen(MUTANTS, only=["memory-no-fence"])
    (file,) = mutant.files
    before = (ROOT / file).read_text()
    scratch = Scratch(tmp_path)
    assert scratch.attack(mutant).by == mutant.killers[0]
    assert (tmp_path / file).read_text() == (ROOT / file).read_text() == before
    harmless = attrs.evolve(
        mutant, edits=(Edit(file=file, text="self.tasks: ", by="self.tasks : "),)
    )
    assert scratch.attack(harmless).survived
    broken = attrs.evolve(mutant, killers=("contract no_such_test",))
    assert scratch.attack(broken).broken
