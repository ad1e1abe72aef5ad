"""Seeded clusters in trouble: no violation, equal repeats, and broken protocols are found."""

import os
import subprocess
import sys
from pathlib import Path

import attrs
import pytest
from simulate import main, run_seed

from dsched.contracts.outcomes import RunOutcome
from dsched.engine import firing as engine_firing
from dsched.engine import judging, recovery
from dsched_testkit.memory import firing
from dsched_testkit.memory.firing import MemoryFiring
from dsched_testkit.memory.state import Step
from dsched_testkit.memory.working import MemoryWorking
from dsched_testkit.simulation.summary import REQUIRED, REQUIRED_FROM, Totals

SEEDS = range(50)
CHUNK = 5


@pytest.mark.slow
@pytest.mark.parametrize("first", SEEDS[::CHUNK])
def test_no_seed_violates_an_invariant(first):
    totals = Totals()
    for seed in range(first, first + CHUNK):
        totals.add(run_seed(seed))
    assert not totals.failed, "\n".join(totals.lines())
    assert totals.tasks > 50 * CHUNK
    assert totals.fires > 10 * CHUNK


def test_a_backlog_of_an_overloaded_cluster_is_worked_off():
    """Seed 212 ends its troubles with more work queued than four minutes can do."""
    ran = run_seed(212)
    assert ran.violations == []
    assert ran.virtual_s > 630


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


def test_without_faults_nothing_has_to_be_recovered():
    ran = run_seed(1, frozenset())
    assert ran.violations == []
    assert ran.faults == {}
    assert [word for word in ran.seen if word.startswith(("reaped", "released", "recalled"))] == []
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


def _cancels_forgotten(monkeypatch):
    good = MemoryWorking._complete

    def bad(self, step, item, by):
        row = self._state.tasks.get(item.task_id)
        if row is not None:
            row.cancel_requested = False
        return good(self, step, item, by)

    monkeypatch.setattr(MemoryWorking, "_complete", bad)


def _skips_untold(monkeypatch):
    monkeypatch.setattr(firing, "_note_skipped", lambda *args: None)


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
        recovery, "verdict", lambda *args: attrs.evolve(good(*args), fail_reason=None)
    )


def _retries_too_soon(monkeypatch):
    good = judging.retry_delay_ms
    monkeypatch.setattr(judging, "retry_delay_ms", lambda *args: good(*args) // 2)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sabotage", "invariant"),
    [
        (_any_token, "I5"),
        (_any_fence, "I3"),
        (_any_overlap, "I18"),
        (_cancels_forgotten, "I11"),
        (_skips_untold, "I2"),
        (_misfires_untold, "I2"),
        (_skips_of_operators_ignored, "I2"),
        (_crashes_never_final, "I19"),
        (_retries_too_soon, "I10"),
    ],
)
def test_a_protocol_without_one_of_its_rules_is_found_within_20_seeds(
    monkeypatch, sabotage, invariant
):
    sabotage(monkeypatch)
    for seed in range(20):
        ran = run_seed(seed)
        if any(line.startswith(invariant) for line in ran.violations):
            assert ran.excerpt
            return
    pytest.fail("no seed noticed")
