"""What the published code must not contain: S07, S15, S29, S31, S34, S37."""

import ast
import re
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from workspace import ROOT, sources

from dsched.launcher.arguments import _parser

UNSAFE_MODULES = {"pickle", "marshal", "shelve", "dill", "cloudpickle", "jsonpickle", "code"}
# The child of the process executor gives its answer over a pipe, in JSON: none of these either.
LONG = 20_000
ALPHABET = "a A0.-_:/@ \t\n\\*H({[,=~\"'"
RE_CALLS = {"compile", "match", "fullmatch", "search", "findall", "finditer", "sub", "split"}


def _published() -> Iterator[tuple[Path, ast.Module]]:
    for path, tree in sources().items():
        if "testkit" not in path.as_posix():
            yield path, tree


def _calls(tree: ast.Module) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def test_nothing_unpickles_or_imports_by_a_name_at_run_time():
    """S07. `import_module` is for the modules that the operator names by ``--app``, and our own."""
    found = []
    for path, tree in _published():
        for node in ast.walk(tree):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            found += [f"{path}: {name}" for name in names if name.split(".")[0] in UNSAFE_MODULES]
            if isinstance(node, ast.Name) and node.id in ("eval", "exec", "__import__"):
                found.append(f"{path}:{node.lineno} {node.id}")
    assert found == []


def test_modules_are_imported_by_name_only_where_the_operator_named_them():
    """S05, S07."""
    places = sorted(
        path.as_posix()
        for path, tree in _published()
        if any(ast.unparse(call.func).endswith("import_module") for call in _calls(tree))
    )
    assert places == [
        "cli/src/dsched_cli/importers/modules.py",  # what its user asks to import
        "cli/src/dsched_cli/plugin_checks.py",  # the plugin that its author checks
        "cli/src/dsched_cli/tree.py",  # its own commands, on first use
        "clients/http/src/dsched_client/__init__.py",  # its own parts, on first use
        "core/src/dsched/__init__.py",  # its own parts, on first use
        "core/src/dsched/launcher/run.py",  # --app
        "core/src/dsched/planning/zone_rules.py",  # tzdata, for its edition
        "executors-local/src/dsched_executor_local/child.py",  # --app, in the child
        "executors-local/src/dsched_executor_local/plugin.py",  # --app
        "executors-mq/src/dsched_executor_mq/brokers/__init__.py",  # its own parts, on first use
    ]


def test_scripts_are_read_from_the_package_and_built_from_nothing_else():
    """S31: what a server is told to run is never put together from values."""
    found = []
    for path, tree in _published():
        if "store-redis" not in path.as_posix():
            continue
        for call in _calls(tree):
            words = {arg.value for arg in call.args if isinstance(arg, ast.Constant)}
            if words & {b"EVAL", "EVAL", b"SCRIPT", "SCRIPT"} and any(
                isinstance(arg, ast.JoinedStr | ast.BinOp) for arg in call.args
            ):
                found.append(f"{path}:{call.lineno}")
    assert found == []


def _patterns() -> dict[str, tuple[str, int]]:
    """Every literal pattern: where it stands, its text and its flags."""
    found = {}
    for path, tree in _published():
        for call in _calls(tree):
            name = ast.unparse(call.func)
            if name.partition(".")[0] != "re" or name.rpartition(".")[2] not in RE_CALLS:
                continue
            if call.args and isinstance(call.args[0], ast.Constant):
                flags = re.VERBOSE if "VERBOSE" in ast.unparse(call) else 0
                found[f"{path}:{call.lineno}"] = (call.args[0].value, flags)
    return found


@pytest.mark.parametrize("place", sorted(_patterns()))
def test_a_pattern_costs_no_more_than_the_length_of_what_it_reads(place):
    """S29: our own patterns are linear, or bounded by what the caller lets through."""
    pattern = re.compile(*_patterns()[place])
    began_s = time.process_time()
    as_read = str.encode if isinstance(pattern.pattern, bytes) else str
    for repeated in (*ALPHABET, "1h", "a.", "-a", "a/", "0.0", "aA0"):
        text = repeated * (LONG // len(repeated))
        for hostile in map(as_read, (text + "!", "a" + text + "\x00", text)):
            pattern.fullmatch(hostile)
            pattern.match(hostile)
    assert time.process_time() - began_s < 2.0


def test_no_package_runs_code_when_it_is_installed():
    """S15."""
    assert [path for path in ROOT.rglob("setup.py") if ".venv" not in path.parts] == []
    for file in ROOT.glob("**/pyproject.toml"):
        if ".venv" in file.parts:
            continue
        built = tomllib.loads(file.read_text(encoding="utf-8")).get("build-system", {})
        assert not built or built["build-backend"] == "hatchling.build", file


def test_the_redis_client_is_one_that_mixes_up_no_answers():
    """S37: CVE-2023-28858 and CVE-2023-28859 were mended in 4.5.4."""
    text = (ROOT / "plugins/store-redis/pyproject.toml").read_text(encoding="utf-8")
    (floor,) = re.findall(r'"redis\[hiredis\]>=([0-9.]+)"', text)
    assert tuple(map(int, floor.split("."))) >= (4, 5, 4)


def test_no_option_of_the_command_takes_a_secret():
    """S34: what is on a command line can be read by every user of the machine."""
    options = [name for action in _parser()._actions for name in action.option_strings]
    assert "--config" in options
    assert [name for name in options if re.search("pass|secret|token|key|auth|url", name)] == []
