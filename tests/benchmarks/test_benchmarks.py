"""The benchmark's own tools: what counts runs, and what makes a page of figures."""

import json
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.fixture(autouse=True)
def benchmark_modules(monkeypatch):
    monkeypatch.syspath_prepend(str(HERE))


def test_runs_in_many_threads_are_all_counted(tmp_path, monkeypatch):
    import tally

    monkeypatch.setenv("BENCH_TALLY", str(tmp_path))
    counting = tally.Tally()
    threads = [
        threading.Thread(target=lambda: [counting.ran() for _ in range(2_000)]) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    total, first_s, last_s, delays_s = tally.read(str(tmp_path))
    assert total == 8_000
    assert first_s[0] <= last_s[0]
    assert delays_s == []


def test_a_delay_is_kept_beside_the_count(tmp_path, monkeypatch):
    import time

    import tally

    monkeypatch.setenv("BENCH_TALLY", str(tmp_path))
    tally.Tally().late(time.time() - 2)
    total, _, _, (delay_s,) = tally.read(str(tmp_path))
    assert total == 1
    assert 2 <= delay_s < 3


@pytest.mark.parametrize(
    ("name", "ours", "theirs", "factor"),
    [
        ("tasks a second, 1 worker", [200.0], [100.0], "2.00"),
        ("submitted a second", [50.0], [100.0], "0.50"),
        ("idle latency, ms p50", [2.0], [4.0], "2.00"),
        ("idle latency, ms earliest", [2.0], [4.0], ""),
    ],
)
def test_a_ratio_above_one_is_in_favour_of_dsched(name, ours, theirs, factor):
    import report

    assert factor == report.ratio(name, ours, theirs)


def test_a_cell_shows_the_median_and_the_spread():
    import wide

    assert wide.cell([1000.0, 10.0, 20.0]) == "20.0 (10.0 to 1,000)"
    assert wide.cell([0.5]) == "0.50"


def test_an_error_reaches_the_page_without_paths():
    import rig
    import run

    assert run._shown(rig.BenchError("cannot open /some/file")) == "BenchError"
    assert run._shown(rig.BenchError("3 of 5 tasks ran\nmore")) == "3 of 5 tasks ran"


def test_the_targets_are_held_to_what_was_measured():
    import targets

    (check,) = (one for one in targets.targets() if one.what.startswith("submitting no-ops"))
    assert check.verdict({}, "must") == targets.UNKNOWN
    for found, must, goal in ((60_000, "met", "met"), (30_000, "met", targets.MISSED)):
        values = {"submitted a second": {"dsched": [found]}}
        assert check.verdict(values, "must") == must
        assert check.verdict(values, "goal") == goal
    assert check.verdict({"submitted a second": {"dsched": [1_000]}}, "must") == targets.MISSED


def test_a_target_may_be_held_against_the_best_of_several_peers():
    import targets

    check = targets.Check(figure="f", least=True, over=("arq", "saq"), must=5)
    values = {"f": {"dsched": [100.0, 120.0, 110.0], "arq": [10.0], "saq": [20.0]}}
    assert check.measured(values) == 5.5
    assert check.measured({"f": {"dsched": [100.0]}}) is None
    assert check.measured({"f": {"saq": [100.0]}}) is None


def test_a_time_is_held_to_its_bar_beside_the_peer_that_ran_on_both_machines():
    import targets

    check = targets.Check(figure="f", must=45, goal=25, yardstick=40).beside("bullmq")
    values = {"f": {"dsched": [60.0], "bullmq": [50.0]}}
    assert (check.measured(values), check.must, check.goal) == (1.2, 1.125, 0.625)
    assert check.measured({"f": {"dsched": [60.0]}}) is None


def test_the_page_shows_such_ratios_only_where_the_peer_has_run():
    import targets

    figures = {"Redis CPU, us a task": {"dsched": [54.0], "bullmq": [54.0]}}
    *_, row = targets.ratios(figures)
    assert row == "| Redis CPU, us a task | 1.02 | 0.57 | 1.00 | met | **not met** |"
    assert targets.ratios({"Redis CPU, us a task": {"dsched": [54.0]}}) == []


def test_the_worst_of_a_run_counts_where_a_target_says_so():
    import targets

    late = targets.Check(figure="f", worst=True, must=1)
    early = targets.Check(figure="f", worst=True, least=True, must=0)
    values = {"f": {"dsched": [1.0, -2.0, 3.0]}}
    assert late.measured(values) == 3
    assert early.measured(values) == -2


def test_a_target_with_one_missed_check_is_missed_whatever_else_is_unknown():
    import targets

    checks = (targets.Check(figure="a", must=1), targets.Check(figure="b", must=1))
    target = targets.Target(what="w", must="m", goal="g", checks=checks)
    assert target.verdict({"a": {"dsched": [2.0]}}, "must") == targets.MISSED
    assert target.verdict({"a": {"dsched": [1.0]}}, "must") == targets.UNKNOWN
    assert target.verdict({"a": {"dsched": [1.0]}, "b": {"dsched": [0.5]}}, "must") == targets.MET


def test_every_figure_of_the_targets_is_one_that_some_measure_gives():
    import targets

    told = "".join(
        path.read_text() for path in HERE.glob("*.py") if path.name != "test_benchmarks.py"
    )
    # The words before the first comma or number: what follows may be put together.
    for target in targets.targets():
        for check in target.checks:
            stem = re.split(r"[,\d:]", check.figure)[0].strip()
            assert stem in told, check.figure
        assert any(check.must is not None for check in target.checks), target.what
        assert any(check.goal is not None for check in target.checks), target.what


def test_what_users_run_comes_first_on_the_page_and_each_case_says_what_it_caches():
    import report
    import results

    found = results.Results()
    for name in ("idle latency, ms p50", "tasks a second, 1 worker"):
        found.add("dsched", {name: 1.0}, "")
    found.add("dsched", {"tasks a second, 1 worker, realistic": 1.0}, "")
    lines = report.tables(found)
    assert [line for line in lines if line.startswith("###")] == [
        "### Tasks a second, 1 worker, realistic",
        "### Idle latency, ms p50",
        "### Tasks a second, 1 worker",
    ]
    notes = [line for line in lines if "Cached is" in line]
    assert notes[0] == "Payload of 200 bytes, result of 100. Cached is nothing.\n"
    assert "Cached is everything" in notes[1]


@pytest.mark.parametrize("number", [0, 7, 39_999, 9_999_999])
def test_a_case_carries_and_returns_exactly_the_bytes_that_it_says(number):
    import works

    def size(value):
        return len(json.dumps(value, separators=(",", ":")))

    for case in works.CASES.values():
        if case.payload:
            payload = works.payload(case.sizes, number)
            assert size(payload) == case.payload
            assert size(works.result(payload["order"], payload["answer"])) == case.result
            assert works.payload(case.sizes, number + 1) != payload


def test_cells_of_a_wide_table_stand_in_rows():
    import wide

    values = {
        wide.name("Steps", "put", "ms"): {"dsched": [1.0]},
        wide.name("Steps", "put", "us"): {"dsched": [2.0]},
        wide.name("Steps", "fire", "us"): {"dsched": [3.0]},
        "not a cell": {"dsched": [4.0]},
    }
    lines = wide.tables(values, {"Ste": "In steps."})
    assert lines[1] == "### Steps"
    assert lines[3] == "In steps.\n"
    assert lines[4:] == [
        "| | ms | us |",
        "|---|---|---|",
        "| put | 1.00 | 2.00 |",
        "| fire |  | 3.00 |",
    ]


def test_a_kept_run_is_added_to_and_what_is_measured_anew_is_replaced(tmp_path):
    import results

    path = tmp_path / "kept.json"
    first = results.load(path)
    first.add("dsched", {"a": 1.0, "b": 1.0}, "")
    first.add("dsched", {"a": 2.0}, "idle: it did not start")
    first.save(path)
    second = results.load(path)
    second.forget_errors(["idle"], ["dsched"])
    second.add("dsched", {"a": 5.0}, "", alone=True)
    second.add("dsched", {"a": 6.0}, "", alone=True)
    assert second.values == {"a": {"dsched": [5.0, 6.0]}, "b": {"dsched": [1.0]}}
    assert second.errors == {"dsched": []}
    assert second.alone == ["a"]


def test_the_page_names_each_command_that_any_of_its_figures_come_from(tmp_path):
    import report
    import results
    import run

    path = tmp_path / "kept.json"
    for command, measured in (
        ("make bench", ("a", "b")),
        ("make bench ARGS=--quick", ("b",)),
        ("make bench ARGS=-h", ("a",)),
        ("make bench", ("b",)),
        ("make bench ARGS=--quick", ("c",)),
    ):
        found = results.load(path)
        found.add("dsched", dict.fromkeys(measured, 1.0), "")
        found.ran(report.stamped(command, run.QUICK))
        found.save(path)
    found = results.load(path)
    assert [line.partition("`, ")[0] for line in found.commands] == [
        "`make bench ARGS=-h",
        "`make bench",
        "`make bench ARGS=--quick",
    ]


def test_the_page_has_the_targets_and_a_table_for_what_only_dsched_is_asked_for():
    import report
    import results
    import run
    import systems
    import wide

    found = results.Results(commands=[report.stamped("make bench", run.QUICK)])
    found.add("dsched", {"submitted a second": 60_000.0}, "")
    figures = {"more memory with 100,000 waiting tasks, MB": 12.5, wide.name("T", "r", "c"): 1.0}
    found.add("dsched", figures, "", alone=True)
    page = report.page(found, systems.OURS[:1])
    assert (
        "| submitting no-ops, in batches of 100 | 20,000 tasks/s | 50,000 | 60,000 | met | met |"
        in page
    )
    assert "| more memory with 100,000 waiting tasks, MB | 12.5 |" in page
    assert "### T" in page
    assert "### More memory" not in page
    assert f"1 of them; throughput with {run.QUICK.tasks:,} tasks" in page


def test_the_command_on_the_page_names_no_files():
    import run

    assert run.command([]) == "make bench"
    given = ["--quick", "--keep", "/some/file.json", "--only", "dsched", "--out", "/some/page.md"]
    assert run.command(given) == 'make bench ARGS="--quick --only dsched"'


def test_every_measure_has_a_name_and_systems():
    import alone
    import run
    import systems

    assert alone.MEASURES.keys() == alone.OF.keys()
    assert alone.MEASURES.keys() <= run.MEASURES.keys()
    names = {system.name for system in systems.OURS}
    assert all(of <= names for of in alone.OF.values())
    page = (HERE.parents[1] / "docs" / "measuring.md").read_text()
    assert [name for name in run.MEASURES if f"`{name}`" not in page] == []
    dsched = systems.OURS[0]
    assert run.applies("http", dsched, 0)
    assert not run.applies("http", dsched, 1)


def test_the_time_of_a_built_in_counts_for_its_callers():
    import profiling

    claim, codec = (
        ("/x/dsched/engine/worker/claiming.py", 1, "run"),
        ("/x/dsched/model/json.py", 1, "dumps"),
    )
    stats = {
        claim: (1, 1, 2.0, 9.0, {}),
        ("~", 0, "<built-in method builtins.len>"): (
            2, 2, 3.0, 3.0, {claim: (1, 1, 1.0, 1.0), codec: (1, 1, 2.0, 2.0)},
        ),
        ("~", 0, "<method 'poll' of 'select.epoll' objects>"): (1, 1, 50.0, 50.0, {}),
    }  # fmt: skip
    spent = profiling.by_part(stats)
    assert spent["claim"] == 3.0
    assert spent["codec: records to values and back"] == 2.0
    shares = profiling.figures(stats, tasks=10)
    assert shares["Where a task's time goes; claim; % of the pod's time"] == 60.0


@pytest.mark.slow
def test_the_command_measures_a_pod_and_writes_the_page(tmp_path):
    page = tmp_path / "page.md"
    wanted = ["--only", "dsched", "--measure", "realistic", "--tasks", "2000"]
    subprocess.run(
        [sys.executable, str(HERE / "run.py"), "--quick", *wanted, "--out", str(page)],
        check=True,
        timeout=50,
        capture_output=True,
    )
    text = page.read_text()
    assert "### Tasks a second, 1 worker, realistic" in text
    assert "## Targets" in text
    assert "gave no figure" not in text
