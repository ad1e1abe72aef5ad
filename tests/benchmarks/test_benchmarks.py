"""The benchmark's own tools: what counts runs, and what makes a page of figures."""

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
    import report

    assert report.cell([1000.0, 10.0, 20.0]) == "20.0 (10.0 to 1,000)"
    assert report.cell([0.5]) == "0.50"


def test_an_error_reaches_the_page_without_paths():
    import rig
    import run

    assert run._shown(rig.BenchError("cannot open /some/file")) == "BenchError"
    assert run._shown(rig.BenchError("3 of 5 tasks ran\nmore")) == "3 of 5 tasks ran"


@pytest.mark.slow
def test_the_command_measures_a_pod_and_writes_the_page(tmp_path):
    page = tmp_path / "page.md"
    wanted = ["--only", "dsched", "--measure", "throughput", "--tasks", "2000"]
    subprocess.run(
        [sys.executable, str(HERE / "run.py"), "--quick", *wanted, "--out", str(page)],
        check=True,
        timeout=50,
        capture_output=True,
    )
    text = page.read_text()
    assert "### Tasks a second, 1 worker" in text
    assert "gave no figure" not in text
