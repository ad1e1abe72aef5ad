"""What holds for all code: sizes, docstrings, pure layers, and calls that must not occur."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from workspace import sources

MAX_FUNCTION_LINES = 40  # one screen
MAX_FILE_LINES = 400
MAX_POSITIONAL = 4  # whoever takes five or more has the rest, after two, by name
# More today, by the name of the function or class: a ratchet that may only go down.
MORE_POSITIONAL = {
    # a contract and its implementations
    "claim": 5,
    "claim_when_woken": 6,
    # values of one row, in the order of its columns
    "_event": 5,
    "_line": 5,
    "_queued": 5,
    "_term": 7,
    "config_of_content": 5,
    # the engine
    "Election": 6,
    "Heartbeat": 7,
    "Leader": 6,
    "LineBuffer": 5,
    "Reporter": 6,
    "Runner": 6,
    "Watchdog": 7,
    "WorkerRole": 6,
    "_keep": 5,
    "_say_skipped": 5,
    "judge_error": 5,
}
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)

PURE = (
    "core/src/dsched/model/",
    "core/src/dsched/planning/",
    "core/src/dsched/explaining/",
    "plugins/balancers/src/",
)
WORLD = ("core/src/dsched/engine/runtime.py",)
TIMELESS = (*PURE, "core/src/dsched/engine/")
CLOCKS_AND_CHANCE = {
    "time.time",
    "time.monotonic",
    "datetime.now",
    "datetime.utcnow",
    "random.random",
    "random.uniform",
    "random.choice",
    "secrets.token_hex",
    "uuid.uuid4",
}
NEVER = {
    "eval": "parse what you need",
    "exec": "parse what you need",
    "pickle.loads": "JSON",
    "pickle.load": "JSON",
    "marshal.loads": "JSON",
    "yaml.load": "the bounded reader in dsched.config",
    "os.system": "no shell runs here",
    "asyncio.ensure_future": "a TaskGroup",
}


def test_functions_fit_on_a_screen():
    long = {
        f"{path}:{node.lineno} {node.name}": length
        for path, node in _functions()
        if (length := (node.end_lineno or 0) - node.lineno + 1) > MAX_FUNCTION_LINES
    }
    assert long == {}


def test_files_stay_readable():
    long = {
        path.as_posix(): lines
        for path, tree in sources().items()
        if (lines := _last_line(tree)) > MAX_FILE_LINES
    }
    assert long == {}


def test_many_arguments_are_given_by_name():
    found: dict[str, int] = {}
    for path, tree in sources().items():
        for name, node in _named(tree):
            count = len(node.args.posonlyargs) + len(node.args.args)
            first = next(iter((*node.args.posonlyargs, *node.args.args)), None)
            count -= first is not None and first.arg in ("self", "cls")
            if count > MAX_POSITIONAL:
                found[name] = max(found.get(name, 0), count)
                allowed = MORE_POSITIONAL.get(name, MAX_POSITIONAL)
                assert count <= allowed, f"{path}:{node.lineno} {name}: write * after the second"
    assert found == MORE_POSITIONAL, "what has become better leaves the list"


def test_every_module_says_its_job_in_its_docstring():
    assert [str(path) for path, tree in sources().items() if not ast.get_docstring(tree)] == []


def test_everything_public_in_the_contracts_and_the_model_has_a_docstring():
    bare = [
        f"{path}:{node.lineno} {node.name}"
        for path, tree in sources().items()
        if path.as_posix().startswith(("core/src/dsched/contracts/", "core/src/dsched/model/"))
        for node in _public(tree)
        if not ast.get_docstring(node) and not _is_overload(node)
    ]
    assert bare == []


@pytest.mark.parametrize("call", sorted(NEVER))
def test_a_call_that_must_not_occur_does_not_occur(call):
    found = [f"{path}:{node.lineno}" for path, node in _calls() if _name(node.func) == call]
    assert found == [], f"use {NEVER[call]} instead of {call}"


def test_clock_and_chance_are_handed_in_below_the_launcher():
    found = [
        f"{path}:{node.lineno} {_name(node.func)}"
        for path, node in _calls()
        if path.as_posix().startswith(TIMELESS)
        and path.as_posix() not in WORLD
        and _name(node.func) in CLOCKS_AND_CHANCE
    ]
    assert found == []


def test_the_pure_layers_do_no_io():
    world = {"asyncio", "os", "socket", "threading", "subprocess", "time", "random", "logging"}
    found = [
        f"{path}:{node.lineno} {name}"
        for path, tree in sources().items()
        if path.as_posix().startswith(PURE)
        for node in ast.walk(tree)
        for name in _imported(node)
        if name.partition(".")[0] in world
    ]
    assert found == []


def test_no_query_is_built_from_text_at_run_time():
    found = [
        f"{path}:{node.lineno}"
        for path, node in _calls()
        if "store-sqlite" in path.as_posix()
        and _name(node.func).rpartition(".")[2] in ("execute", "executemany")
        and node.args
        and isinstance(node.args[0], ast.JoinedStr | ast.BinOp)
    ]
    assert found == []


def test_no_subprocess_gets_a_shell():
    found = [
        f"{path}:{node.lineno}"
        for path, node in _calls()
        for keyword in node.keywords
        if keyword.arg == "shell"
    ]
    assert found == []


def _functions() -> Iterator[tuple[Path, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for path, tree in sources().items():
        for node in ast.walk(tree):
            if isinstance(node, FUNCTIONS):
                yield path, node


def _named(tree: ast.Module) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Each function with its name, a constructor with that of its class."""
    for node in ast.walk(tree):
        for inner in ast.iter_child_nodes(node):
            if isinstance(inner, FUNCTIONS):
                built = isinstance(node, ast.ClassDef) and inner.name == "__init__"
                yield node.name if built else inner.name, inner  # type: ignore[attr-defined]


def _public(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]:
    """Public functions and classes of a module, and the public methods of public classes."""
    for node in tree.body:
        if isinstance(node, (*FUNCTIONS, ast.ClassDef)) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from (
                    inner
                    for inner in node.body
                    if isinstance(inner, FUNCTIONS) and not inner.name.startswith("_")
                )


def _is_overload(node: ast.AST) -> bool:
    """Whether it only states a type; the function it belongs to has the docstring."""
    return any(_name(mark) == "overload" for mark in getattr(node, "decorator_list", []))


def _calls() -> Iterator[tuple[Path, ast.Call]]:
    for path, tree in sources().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                yield path, node


def _name(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        above = _name(node.value)
        return f"{above}.{node.attr}" if above else node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module:
        return [node.module]
    return []


def _last_line(tree: ast.Module) -> int:
    return max((node.end_lineno or 0 for node in tree.body), default=0)
