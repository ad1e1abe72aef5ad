"""The page for those who size a cluster says what was recorded, and nothing else."""

import sys

import pytest
from pages import ROOT

sys.path.insert(0, str(ROOT / "docs"))
import sizing_page

sys.path.remove(str(ROOT / "docs"))


def recorded(case: str = "", **cells: str) -> str:
    """A page of figures."""
    shown = {"python_us": "50.0 (40 to 60)", "redis_us": "25.0", "rate": "20,000", **cells}
    headings = {**sizing_page._FIGURES, **sizing_page._ALWAYS}
    text = ""
    for name, heading in headings.items():
        ending = f", {case}" if case and name in sizing_page._FIGURES else ""
        cell = shown.get(name, "1,000")
        text += f"### {heading}{ending}\n\n| system | median |\n|---|---|\n"
        text += f"| dsched | {cell} | |\n| dsched-sqlite | {cell} | |\n\n"
    return text


def made(text: str, monkeypatch, tmp_path) -> str:
    path = tmp_path / "performance.md"
    path.write_text(text, encoding="utf-8")
    monkeypatch.setattr(sizing_page, "PERFORMANCE", path)
    return sizing_page.sizing_page()


def test_what_a_core_carries_is_a_second_divided_by_what_a_task_takes(monkeypatch, tmp_path):
    page = made(recorded(), monkeypatch, tmp_path)
    assert "| Python (a pod that leads and works) | 20,000 | 50 |" in page
    assert "| Redis, all steps of a task | 40,000 | 25 |" in page
    assert "| 50,000 | 4 | 2 |" in page, "3.6 and 1.8 cores that are busy for 70 %"
    assert "no-op tasks" in page


def test_realistic_figures_are_taken_as_soon_as_they_are_recorded(monkeypatch, tmp_path):
    text = recorded() + recorded("realistic", python_us="100")
    page = made(text, monkeypatch, tmp_path)
    assert "| Python (a pod that leads and works) | 10,000 | 100 |" in page
    assert "no-op tasks" not in page


def test_several_worker_processes_are_shown_once_they_are_recorded(monkeypatch, tmp_path):
    assert "Several worker processes" not in made(recorded(), monkeypatch, tmp_path)
    table = (
        f"### {sizing_page.PROCESSES}\n\n| | tasks/s | Redis, cores |\n|---|---|---|\n"
        "| one pod | 12,000 | 0.40 |\n| two pods | 20,000 | 0.80 |\n"
    )
    page = made(recorded() + table, monkeypatch, tmp_path)
    assert "| | tasks/s | Redis, cores |\n|---|---|---|\n| one pod | 12,000 | 0.40 |" in page


def test_the_benchmark_names_that_table_as_the_page_does():
    source = (ROOT / "tests/benchmarks/processes.py").read_text(encoding="utf-8")
    assert f'TABLE = "{sizing_page.PROCESSES}"' in source


def test_a_cell_that_is_no_figure_is_refused(monkeypatch, tmp_path):
    with pytest.raises(ValueError, match="does not begin with a number"):
        made(recorded(python_us="none"), monkeypatch, tmp_path)
