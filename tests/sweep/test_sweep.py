"""The crash-point sweep in its short form: every scenario, some of its points, always the same."""

import json
import textwrap

import pytest
from crash_points import BALANCER, NAMES, SCENARIOS, main, record, sweep_one

from dsched.contracts.store.outcomes import Outcome
from dsched.engine.leader.recovery import RecoveryStep
from dsched.model import Worker
from dsched_testkit.memory.operating import MemoryOperating
from dsched_testkit.memory.recovering import MemoryRecovering
from dsched_testkit.memory.tasklogs import MemoryTaskLogs
from dsched_testkit.memory.working import MemoryWorking
from dsched_testkit.sweep.play import play
from dsched_testkit.sweep.process import Kind
from dsched_testkit.sweep.sites import Site, all_sites, missing, sites_in
from dsched_testkit.sweep.sweep import Totals, every_point_of, points_of, sampled

POINTS = 8


def _scenario(name):
    return SCENARIOS[NAMES.index(name)]


@pytest.mark.parametrize("name", NAMES)
def test_a_scenario_bears_a_fault_at_its_calls(name):
    totals = Totals()
    totals.add(sweep_one(name, POINTS))
    assert not totals.failed, "\n".join(totals.lines())
    assert totals.plays == POINTS + 1


def test_a_whole_sweep_is_recorded_and_no_part_of_one(tmp_path, capsys):
    totals = Totals()
    totals.add(sweep_one(NAMES[0], 2))
    record(totals, "abc", 0, tmp_path / "sweep.json")
    told = json.loads((tmp_path / "sweep.json").read_text())
    assert (told["commit"], told["plays"], told["violations"], told["unhit"]) == ("abc", 3, 0, 0)
    assert sum(told["faults"].values()) == 2
    with pytest.raises(SystemExit):
        main(["--record", "--points", "2"])
    assert "of a whole sweep" in capsys.readouterr().err


def test_the_scenarios_reach_all_places_that_call_the_store():
    totals = Totals()
    for name in NAMES:
        totals.add(sweep_one(name, 0))
    assert totals.unhit() == []
    assert not totals.failed, "\n".join(totals.lines())
    assert len(all_sites()) >= 90


def test_points_are_spread_over_all_calls_and_kinds_and_are_fewer_than_all():
    calls = play(_scenario("submits"), BALANCER, record=True).calls
    merged, every = points_of(calls), every_point_of(calls)
    assert {point.kind for point in merged} == set(Kind)
    assert {point.site for point in merged} == {call.site for call in calls}
    assert len(calls) < len(merged) + len(calls) <= len(every) + len(calls)
    assert set(merged) <= {*every}
    few = sampled(merged, 5)
    assert few == sampled(merged, 5)
    assert len(few) == 5


def test_two_plays_as_written_make_the_same_calls():
    first, second = (play(_scenario("takeover"), BALANCER, record=True) for _ in range(2))
    assert [(c.name, c.number, c.site) for c in first.calls] == [
        (c.name, c.number, c.site) for c in second.calls
    ]


def test_a_place_is_known_by_what_is_typed_as_a_store(tmp_path):
    module = tmp_path / "newcomer.py"
    module.write_text(
        textwrap.dedent("""
        class Newcomer:
            def __init__(self, working: Working, other: dict[str, str]) -> None:
                self._working = working
                self._other = other

            async def act(self) -> None:
                await answered(lambda: self._working.submit([]))
                self._other.get("no step of a store")

                async def later(store: "Store") -> None:
                    await store.now()
        """)
    )
    found = set(sites_in(module))
    assert found == {
        Site("newcomer.py", "Newcomer.act", 8, "submit"),
        Site("newcomer.py", "Newcomer.act.<locals>.later", 12, "now"),
    }
    assert missing(all_sites() - {min(all_sites())}) == [min(all_sites())]


def test_the_command_says_what_it_swept_and_exits_with_0(capsys):
    assert main(["--only", "retries", "--points", "3", "--processes", "0"]) == 0
    said = capsys.readouterr().out
    assert "retries: 3 faults, 0 bad" in said
    assert "scenarios 1  plays 4" in said


def _completed_twice(monkeypatch):
    good = MemoryWorking._complete

    def bad(self, step, item, by):
        if item.task_id in self._state.tasks:
            self._state.tasks[item.task_id].completed = False
        return good(self, step, item, by)

    monkeypatch.setattr(MemoryWorking, "_complete", bad)


def _never_recovered(monkeypatch):
    async def nothing(self):
        return None

    monkeypatch.setattr(RecoveryStep, "recover", nothing)


def _skips_forgotten(monkeypatch):
    async def nothing(self, *args, **how):
        return Outcome.OK

    monkeypatch.setattr(MemoryOperating, "skip", nothing)


def _ended_removed_at_once(monkeypatch):
    good = MemoryRecovering._prune_tasks

    def bad(self, step, status, limit):
        for task in [row for row in self._state.tasks.values() if row.status is status]:
            del self._state.tasks[task.id]
        return good(self, step, status, limit)

    monkeypatch.setattr(MemoryRecovering, "_prune_tasks", bad)


def _lines_repeated(monkeypatch):
    good = MemoryTaskLogs._append

    def bad(self, step, item):
        if item.task_id in self._state.logs:
            self._state.logs[item.task_id].last = 0
        return good(self, step, item)

    monkeypatch.setattr(MemoryTaskLogs, "_append", bad)


def _pins_ignored(monkeypatch):
    monkeypatch.setattr(Worker, "matches", lambda self, required: True)


@pytest.mark.parametrize(
    ("sabotage", "name", "invariant"),
    [
        (_completed_twice, "retries", "I4"),
        (_never_recovered, "worker-death", "I7"),
        (_skips_forgotten, "skips", "I2"),
        (_ended_removed_at_once, "pruning", "I12"),
        (_lines_repeated, "reads", "lines of long"),
        (_pins_ignored, "a-member-for-each-worker", "I26"),
    ],
)
def test_a_broken_protocol_is_found(monkeypatch, sabotage, name, invariant):
    sabotage(monkeypatch)
    failed = sweep_one(name, 120, stop=True).failed
    assert any(line.startswith(invariant) for _, played in failed for line in played.violations)
    assert any(played.excerpt for _, played in failed)
