"""Seeded clusters in trouble: no violation, equal repeats, and broken protocols are found."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import attrs
import campaigns
import pytest
from simulate import main, run_seed

from dsched.contracts.store.events import EventKind
from dsched.contracts.store.outcomes import Outcome, RunOutcome
from dsched.engine.leader import dispatching, recovery
from dsched.engine.leader import firing as engine_firing
from dsched.engine.leader.dispatching import DispatchStep
from dsched.engine.worker import completion as judging
from dsched.model import Home, TaskResult
from dsched.planning.cron.expression import CronInstants
from dsched_testkit import checker
from dsched_testkit.memory import firing
from dsched_testkit.memory.configs import MemoryConfigs
from dsched_testkit.memory.firing import MemoryFiring
from dsched_testkit.memory.state import Step
from dsched_testkit.memory.working import MemoryWorking
from dsched_testkit.simulation.faults import MENU
from dsched_testkit.simulation.summary import RARE_FROM, REQUIRED, REQUIRED_FROM, Totals

SEEDS = range(50)
CHUNK = 5
SHORT = 15  # what `make test` runs of them; `make test-long` runs the rest


@pytest.mark.slow
@pytest.mark.parametrize(
    "first",
    [pytest.param(one, marks=[pytest.mark.long] if one >= SHORT else []) for one in SEEDS[::CHUNK]],
)
def test_no_seed_violates_an_invariant(first):
    totals = Totals()
    for seed in range(first, first + CHUNK):
        totals.add(run_seed(seed))
    assert not totals.failed, "\n".join(totals.lines())
    assert totals.tasks > 50 * CHUNK
    assert totals.fires > 10 * CHUNK


@pytest.mark.parametrize("seed", [196, 804, 1248, 1266, 1425, 4257, 5953, 8445, 9287, 19164])
def test_a_seed_that_once_found_something_holds(seed):
    assert run_seed(seed).violations == []


def test_one_seed_gives_the_same_run_in_another_process_with_another_hash_seed():
    here = run_seed(7)
    code = "from simulate import run_seed; print(run_seed(7).digest)"
    environment = {
        **os.environ,
        "PYTHONHASHSEED": "12345",
        "PYTHONPATH": str(Path(__file__).parent),
    }
    there = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert there.stdout.strip() == here.digest
    assert run_seed(8).digest != here.digest


# Only for the balancer that uses the load: others may queue a task behind long ones, and it is
# recalled.
@pytest.mark.parametrize("seed", [0, 6])
def test_without_faults_nothing_has_to_be_recovered(seed):
    ran = run_seed(seed, frozenset())
    assert ran.violations == []
    assert ran.faults == {}
    taken = {word for word in ran.seen if word.startswith(("reaped", "released", "recalled"))}
    # To give way to a higher priority is no trouble; what waits longer for it may move to a free
    # slot.
    usual = {"recalled displaced", "recalled"} if "recalled displaced" in taken else set()
    assert taken <= usual
    assert ran.seen["completed success"] > 20


def test_the_command_says_what_it_ran_and_exits_with_0(capsys):
    assert main(["--seeds", "1", "--processes", "1", "--faults", "crash,lost_reply"]) == 0
    said = capsys.readouterr().out
    assert "seeds 1  virtual hours 0.1" in said
    assert "run twice and equal: 1 of 1 seeds" in said
    assert "seeds with violations: 0" in said


def test_a_path_that_many_seeds_never_took_is_named():
    few, many = Totals(seeds=REQUIRED_FROM - 1), Totals(seeds=REQUIRED_FROM)
    assert few.missing() == []
    many.seen.update(REQUIRED - {"STALE"})
    assert "STALE" in many.missing()
    assert "crash" in many.missing()
    assert "FENCED" not in many.missing()
    assert "FULL" not in many.missing()
    assert "FULL" in Totals(seeds=RARE_FROM).missing()


def test_the_evidence_of_a_seed_satisfies_the_checkers_command(tmp_path, capsys):
    path = tmp_path / "evidence.jsonl"
    assert main(["--seeds", "1", "--first", "7", "--processes", "1", "--evidence", str(path)]) == 0
    capsys.readouterr()
    assert checker.main([str(path)]) == 0
    said = capsys.readouterr().out
    assert "every invariant held" in said
    assert f"histories: {1 + path.read_text().count('lost')}" in said.replace("  ", "")


def test_disjoint_ranges_of_seeds_are_recorded_and_others_refused(tmp_path):
    path, totals = tmp_path / "results" / "simulation.json", Totals()
    totals.add(run_seed(3, trouble_s=60))
    campaigns.add(path, totals, range(1), "abc")
    results = campaigns.add(path, totals, range(5, 6), "def")
    assert results == json.loads(path.read_text())
    assert [one["first"] for one in results["campaigns"]] == [0, 5]
    assert results["totals"]["seeds"] == 2
    assert results["totals"]["tasks"] == 2 * totals.tasks
    assert results["totals"]["faults"] == {name: 2 * n for name, n in totals.faults.items()}
    assert totals.faults
    assert results["totals"]["violations"] == 0
    campaigns.check_free(results, range(1, 5))
    with pytest.raises(campaigns.CampaignError, match="first free one is 6"):
        campaigns.add(path, totals, range(4, 9), "abc")


def test_a_seed_that_does_not_end_is_named_instead_of_waited_for(monkeypatch, capsys):
    monkeypatch.setattr("simulate.STUCK_S", 0.01)
    assert main(["--seeds", "1", "--first", "7", "--processes", "1"]) == 1
    assert "still running or waiting: 7" in capsys.readouterr().err


def test_a_range_that_was_recorded_or_is_not_the_whole_menu_does_not_even_run(tmp_path, capsys):
    path = tmp_path / "simulation.json"
    totals = Totals()
    totals.add(run_seed(3, frozenset({"crash"}), trouble_s=30))
    campaigns.add(path, totals, range(10), "abc")
    record = ["--record", "--results", str(path), "--seeds", "1", "--processes", "1"]
    assert main([*record, "--first", "9"]) == 2
    assert "recorded already" in capsys.readouterr().err
    assert main([*record, "--first", "10", "--faults", "crash"]) == 2
    assert "leave --faults out" in capsys.readouterr().err


def _any_token(monkeypatch):
    good = MemoryWorking._complete

    def bad(self, step, item, by):
        row = self._state.tasks.get(item.task_id)
        token = item.token if row is None or row.token is None else row.token
        return good(self, step, attrs.evolve(item, token=token), by)

    monkeypatch.setattr(MemoryWorking, "_complete", bad)


def _any_fence(monkeypatch):
    monkeypatch.setattr(Step, "check_fence", lambda self, fence: None)


def _any_overlap(monkeypatch):
    monkeypatch.setattr(MemoryFiring, "_overlap", lambda self, step, fence, row: RunOutcome.FIRED)


def _the_newest_held_goes_first(monkeypatch):
    good = Step.release

    def bad(self, row):
        good(self, self.state.tasks[self.state.held[row.config_id][-1]])

    monkeypatch.setattr(Step, "release", bad)


def _cancels_forgotten(monkeypatch):
    good = MemoryWorking._complete

    def bad(self, step, item, by):
        row = self._state.tasks.get(item.task_id)
        if row is not None:
            row.cancel_requested = False
        return good(self, step, item, by)

    monkeypatch.setattr(MemoryWorking, "_complete", bad)


def _skips_untold(monkeypatch):
    monkeypatch.setattr(firing, "_note_overlap", lambda *args, **more: None)


def _misfires_untold(monkeypatch):
    good = engine_firing.plan_fire
    monkeypatch.setattr(
        engine_firing,
        "plan_fire",
        lambda *args, **how: attrs.evolve(good(*args, **how), skipped=None),
    )


def _skips_of_operators_ignored(monkeypatch):
    planned, run = engine_firing.plan_fire, MemoryFiring._run

    def plan(*args, skips, **how):
        return planned(*args, **how)

    def fired(self, step, fence, row, one):
        row.skips = ()
        return run(self, step, fence, row, one)

    monkeypatch.setattr(engine_firing, "plan_fire", plan)
    monkeypatch.setattr(MemoryFiring, "_run", fired)


def _crashes_never_final(monkeypatch):
    good = recovery.verdict
    monkeypatch.setattr(
        recovery,
        "verdict",
        lambda *args, **named: attrs.evolve(good(*args, **named), fail_reason=None),
    )


def _retries_too_soon(monkeypatch):
    good = judging.retry_delay_ms
    monkeypatch.setattr(judging, "retry_delay_ms", lambda *args: good(*args) // 2)


def _nothing_is_taken_over(monkeypatch):
    async def bad(self):
        pass

    monkeypatch.setattr(recovery.RecoveryStep, "recover", bad)


def _one_dispatch_in_seven_seconds(monkeypatch):
    """No standstill of two minutes, and much too slow all the same."""
    good = DispatchStep.dispatch

    async def bad(self, page=None):
        await asyncio.sleep(7)
        return await good(self)

    monkeypatch.setattr(DispatchStep, "dispatch", bad)
    monkeypatch.setattr(dispatching, "MAX_BATCH", 1)
    monkeypatch.setattr(dispatching, "PAGES_A_TICK", 1)


def _submissions_forgotten(monkeypatch):
    good = MemoryWorking.submit

    async def bad(self, items, *, by):
        answers = await good(self, items, by=by)
        for item in items:
            row = self._state.tasks.get(item.task_id)
            if item.task_id.endswith("7") and row is not None and row.home is Home.READY:
                self._state.ready.discard(item.task_id)
                del self._state.tasks[item.task_id]
                self._state.log.pop()
        return answers

    monkeypatch.setattr(MemoryWorking, "submit", bad)


def _leases_cut_short(monkeypatch):
    good = Step.place

    def bad(self, row, status, home, at_ms=0):
        good(self, row, status, home, at_ms - 25_000 if home is Home.LEASE else at_ms)

    monkeypatch.setattr(Step, "place", bad)


def _hours_that_come_twice_fire_twice(monkeypatch):
    monkeypatch.setattr(
        CronInstants, "_local_span", lambda self, s: (s.start_s + s.offset_s, s.end_s + s.offset_s)
    )


def _gaps_forgotten(monkeypatch):
    monkeypatch.setattr(CronInstants, "_fires_after_gap", lambda self, segment: False)


def _clock_steps_untold(monkeypatch):
    good = Step.note

    def bad(self, kind, by, item):
        if kind is not EventKind.CLOCK_BACK:
            good(self, kind, by, item)

    monkeypatch.setattr(Step, "note", bad)


def _paused_configs_fire(monkeypatch):
    good = MemoryConfigs.pause

    async def bad(self, config_id, rearm, **more):
        outcome = await good(self, config_id, rearm, **more)
        row = self._state.configs.get(config_id)
        if outcome is Outcome.OK and row.config.every is not None:
            row.paused = None
            row.due_ms = self._state.wall() + 1000
            self._state.due.add(config_id, row.due_ms)
        return outcome

    monkeypatch.setattr(MemoryConfigs, "pause", bad)


def _results_of_others(monkeypatch):
    good = MemoryWorking._complete

    def bad(self, step, item, by):
        if item.success and item.task_id.endswith("5"):
            item = attrs.evolve(item, result=TaskResult(data="another's"))
        return good(self, step, item, by)

    monkeypatch.setattr(MemoryWorking, "_complete", bad)


EVERYTHING = frozenset(MENU)
NO_FAULT_BUT_A_NIGHT = frozenset({"dst"})


# What breaks only in rare seeds is looked for from where there are some: a night on which the
# clocks change, and an instant that an operator asked to skip and that then comes (3 in 120 seeds).
FIRST_SEEDS = {_hours_that_come_twice_fire_twice: 13, _skips_of_operators_ignored: 100}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sabotage", "invariant", "faults"),
    [
        pytest.param(_any_token, "I5", EVERYTHING, marks=pytest.mark.long),
        (_any_fence, "I3", EVERYTHING),
        (_any_overlap, "I18", EVERYTHING),
        (_the_newest_held_goes_first, "I18", EVERYTHING),
        (_cancels_forgotten, "I11", EVERYTHING),
        (_skips_untold, "I2", EVERYTHING),
        pytest.param(_misfires_untold, "I2", EVERYTHING, marks=pytest.mark.long),
        (_crashes_never_final, "I19", EVERYTHING),
        (_retries_too_soon, "I10", EVERYTHING),
        (_nothing_is_taken_over, "I7", EVERYTHING),
        (_one_dispatch_in_seven_seconds, "I7", EVERYTHING),
        pytest.param(_submissions_forgotten, "I7", EVERYTHING, marks=pytest.mark.long),
        pytest.param(_leases_cut_short, "I17", EVERYTHING, marks=pytest.mark.long),
        pytest.param(_clock_steps_untold, "I13", EVERYTHING, marks=pytest.mark.long),
        pytest.param(_paused_configs_fire, "I21", EVERYTHING, marks=pytest.mark.long),
        (_results_of_others, "I12", EVERYTHING),
        pytest.param(
            _hours_that_come_twice_fire_twice, "I2", NO_FAULT_BUT_A_NIGHT, marks=pytest.mark.long
        ),
        pytest.param(_gaps_forgotten, "I2", NO_FAULT_BUT_A_NIGHT, marks=pytest.mark.long),
        pytest.param(_skips_of_operators_ignored, "I2", EVERYTHING, marks=pytest.mark.long),
    ],
)
def test_a_protocol_without_one_of_its_rules_is_found_within_20_seeds(
    monkeypatch, sabotage, invariant, faults
):
    sabotage(monkeypatch)
    first = FIRST_SEEDS.get(sabotage, 0)
    for seed in range(first, first + 20):
        ran = run_seed(seed, faults)
        if any(line.startswith(invariant) for line in ran.violations):
            return
    pytest.fail("no seed noticed")
