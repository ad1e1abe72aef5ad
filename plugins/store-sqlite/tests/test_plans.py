"""No step scans: what a statement costs depends on what it answers with, not on what exists."""

import ast
import importlib
import pkgutil
import sqlite3
from pathlib import Path

import pytest

import dsched_store_sqlite
from dsched_store_sqlite import configs, reading
from dsched_store_sqlite.schema import ADDED_STATEMENTS, STATEMENTS

# Bounded by MAX_WORKERS, and read whole on purpose.
OF_ALL_WORKERS = {"workers.WORKER_VIEWS", "recovering.FORGOTTEN"}

# What moves or makes a whole store, or reads the one row of its own numbers.
COLD = {"connection", "filling", "history", "meta", "moving", "schema", "writer"}

HOT = {
    f"{name}.{constant}": text
    for name in sorted(one.name for one in pkgutil.iter_modules(dsched_store_sqlite.__path__))
    if name not in COLD
    for constant, text in vars(importlib.import_module(f"dsched_store_sqlite.{name}")).items()
    if isinstance(text, str) and text.startswith(("SELECT", "UPDATE", "DELETE"))
} | {f"reading.LISTINGS[{key}]": one.statement for key, one in reading.LISTINGS.items()}


@pytest.fixture(scope="module")
def db():
    db = sqlite3.connect(":memory:")
    for statement in (*STATEMENTS, *ADDED_STATEMENTS):
        db.execute(statement)
    yield db
    db.close()


def _plan(db, statement):
    parameters = [None] * statement.count("?")
    return [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)]


def _scans(db, statement):
    """The parts of a plan that visit a whole table, or sort what they found.

    What an inner statement found is walked over, and is as short as its own LIMIT.
    """
    plan = [part for part in _plan(db, statement) if not part.startswith("SCAN (subquery")]
    return [part for part in plan if "SCAN" in part or "TEMP B-TREE" in part]


@pytest.mark.parametrize("name", sorted(HOT))
def test_the_statement_is_served_by_an_index(db, name):
    scans = _scans(db, HOT[name])
    if name in OF_ALL_WORKERS:
        scans = [part for part in scans if part != "SCAN worker"]
    if name == "dispatching.READY":
        # The index holds the ready tasks only, in their order, and the page is its start.
        scans = [part for part in scans if "USING INDEX task_open" not in part]
    if name == "facts.ANY_MISSED":
        # The first entry of an index that holds the misses only, and is empty as a rule.
        scans = [part for part in scans if "USING COVERING INDEX decision_missed" not in part]
    if name == "step.ANY_FULL":
        # The first entry of an index that holds the classes that are full only.
        scans = [part for part in scans if not part.endswith("INDEX class_full")]
    if name == "limits.FIRST_OPENING":
        # The first entry of an index that holds only what waits for room that comes by time.
        scans = [part for part in scans if not part.endswith("INDEX limit_opening")]
    if name == "limits.COUNT":
        # Only when a limit is stored that is new; their number is bounded.
        scans = [part for part in scans if not part.startswith("SCAN limit_record")]
    if name == "workers.DROP_UNUSED":
        # Only when a worker says something new; there are no more of them than workers.
        scans = [part for part in scans if part != "SCAN ability"]
    if name == "workers.LEASES_OF":
        # Only when a worker's id is taken over: a walk over the index of what runs.
        scans = [part for part in scans if "USING INDEX task_lease_id" not in part]
    assert scans == []


def test_the_configs_of_an_origin_are_a_range_of_their_index(db):
    assert _plan(db, configs.LIST_ORIGIN) == [
        "SEARCH config USING INDEX config_origin (origin=? AND id>? AND id<?)",
        "CORRELATED SCALAR SUBQUERY 1",
        "SEARCH parked USING PRIMARY KEY (config_id=?)",
        "CORRELATED SCALAR SUBQUERY 2",
        "SEARCH counted USING PRIMARY KEY (config_id=?)",
    ]


@pytest.mark.parametrize("key", ["config_id", "status"])
def test_a_span_of_ends_is_a_range_of_the_index(db, key):
    search = _plan(db, reading.LISTINGS[key].statement)[0]
    assert "end_ms>?" in search
    assert "end_ms<?" in search or "(end_ms,task_id)<(?,?)" in search


def test_the_check_itself_notices_a_scan_and_a_sort(db):
    assert _scans(db, "SELECT * FROM task WHERE error = ?") == ["SCAN task"]
    assert len(_scans(db, "SELECT * FROM task ORDER BY error")) == 2


def test_statements_are_constants_and_values_are_parameters_only():
    """S30: nothing that is handed to execute is put together from values."""
    found = []
    for path in Path(dsched_store_sqlite.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            if node.func.attr in {"execute", "executemany", "executescript"}:
                statement = node.args[0]
                simple = isinstance(statement, ast.Constant | ast.Name | ast.Attribute)
                if not simple and not isinstance(statement, ast.Subscript):
                    found.append((path.name, ast.unparse(statement)))
    assert found == []
