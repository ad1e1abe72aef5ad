"""Every block of the pages is read by what would read it: YAML, Python and shell."""

import ast
import asyncio
import importlib.util
import re
import shlex
import sys
import types
from pathlib import Path
from types import SimpleNamespace

import click
import pytest
import yaml
from pages import ROOT, Block, blocks, text_of

import dsched
from dsched.config import TaskSettings, read_settings
from dsched.config.task_file import read_tasks
from dsched.contracts import ExecutionContext, LineLevel
from dsched.contracts.store.tasklogs import marked_level
from dsched.functions.registry import REGISTRY
from dsched.launcher.arguments import parse
from dsched.loading import Catalogue, load_catalogue
from dsched_cli.main import root
from dsched_testkit.suites.balancer import BalancerContract

EXAMPLE = ROOT / "docs/examples/plugin-executor/src"
MAKE = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
# Programs that are not ours, and what they are started with is tested elsewhere or theirs to know.
OTHERS = {
    *("redis-server", "redis-cli", "pip", "python", "cd", "curl", "source", "export", "umask"),
    *("cp", "mv", "mkdir", "pytest"),
}


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    """Everything installed, and the example of a plugin."""
    spec = importlib.util.spec_from_file_location(
        "docs_example_spool", EXAMPLE / "dsched_executor_spool/plugin.py"
    )
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return load_catalogue(extra_plugins=(module,))


@pytest.mark.parametrize("block", blocks("yaml"), ids=str)
def test_every_yaml_block_is_a_task_file_or_a_configuration(
    block: Block, catalogue: Catalogue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(REGISTRY, "_functions", {})  # names are judged once there are any
    file = tmp_path / "block.yaml"
    file.write_text(block.text)
    said = yaml.safe_load(block.text)
    if (
        "apiVersion" in said
    ):  # of Kubernetes; what it asks of us: plugins/api-http/tests/test_demand.py
        assert said.keys() == {"apiVersion", "kind", "metadata", "spec"}
        return
    if "tasks" in said:
        assert read_tasks(str(file), defaults=TaskSettings(), catalogue=catalogue)
        return
    for name in re.findall(r"\w+_file: ([\w-]+)", block.text):
        (tmp_path / name).write_text("https://chosen.example.com/by-the-test")
    loaded = read_settings(str(file), {}, {}, catalogue)
    assert loaded.warnings == ()


@pytest.mark.parametrize("block", blocks("python"), ids=str)
def test_every_python_block_compiles(block: Block) -> None:
    assert ast.parse(block.text).body


def module_of(block: Block) -> types.ModuleType:
    """A block as a module, given in code."""
    module = types.ModuleType("docs_block")
    exec(compile(block.text, str(block), "exec"), module.__dict__)
    return module


async def test_the_plugin_of_the_readme_runs_tasks() -> None:
    (block,) = (one for one in blocks("python") if one.page == ROOT / "README.md")
    assert block.text.startswith("from contextlib")
    hello = module_of(block)
    async with dsched.pod({"store": "memory"}, plugins=[hello]) as pod:
        task_id = await pod.client.submit(dsched.TaskSpec(executor="hello", payload="Ada"))
        task = await pod.client.wait(task_id, timeout_s=20)
    assert task.result
    assert task.result.message == "Hello, Ada"


def test_the_balancer_of_the_page_keeps_the_contract_of_balancers() -> None:
    (block,) = (one for one in blocks("python") if "class Roomy(LoadBalancer)" in one.text)
    roomy = module_of(block)
    (provider,) = roomy.dsched_balancers()
    suite = BalancerContract()
    suite.balancer = lambda: provider.build(provider.options())  # type: ignore[method-assign]
    names = [name for name in dir(suite) if name.startswith("test_")]
    assert len(names) >= 5
    for name in names:
        getattr(suite, name)()
    with pytest.raises(ValueError, match="spare"):
        provider.options(spare=-1)


def test_printed_lines_are_marked_as_the_page_says() -> None:
    (block,) = (one for one in blocks("python") if "def tell_what_was_printed" in one.text)
    said: list[tuple[object, object]] = []
    logger = SimpleNamespace(info=lambda _, line, extra: said.append((line, marked_level(extra))))
    module_of(block).tell_what_was_printed(SimpleNamespace(logger=logger), "one\ntwo\n")
    assert said == [("one", LineLevel.STDOUT), ("two", LineLevel.STDOUT)]


def test_the_context_of_the_page_is_the_whole_context() -> None:
    page = text_of(ROOT / "docs/writing-a-plugin.md")
    table = page.partition("The whole of what an attempt knows")[2].partition("**Lines")[0]
    members = [name for name in vars(ExecutionContext) if not name.startswith("_")]
    assert len(members) >= 8
    assert [name for name in members if f"`{name}" not in table] == []


@dsched.task("page.fails")
def fails() -> None:
    raise LookupError("as it always does")


async def test_the_alerting_observer_tells_of_a_failed_task_and_of_no_other(
    caplog: pytest.LogCaptureFixture,
) -> None:
    (block,) = (one for one in blocks("python") if "class Alert(Observer)" in one.text)
    alert = module_of(block)
    never = dsched.RetryPolicy(max_retries=0)
    settings = {"store": "memory", "alert": {"prefix": "page-watched"}}
    async with dsched.pod(settings, plugins=[alert]) as pod:
        spec = dsched.TaskSpec(executor="local", payload={"function": "page.fails"}, retry=never)
        for task_id in ("other", "page-watched"):
            await pod.client.submit(spec, task_id=task_id)
            await pod.client.wait(task_id, timeout_s=20)
        async with asyncio.timeout(20):
            while "alert" not in {record.name for record in caplog.records}:
                await asyncio.sleep(0.01)
    told = [record for record in caplog.records if record.name == "alert"]
    assert {record.levelname for record in told} == {"CRITICAL"}
    assert {record.getMessage().partition(" failed: ")[0] for record in told} == {
        "completed: task page-watched"
    }


def test_the_functions_of_the_usage_page_register(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(REGISTRY, "_functions", {})
    (block,) = (one for one in blocks("python") if '@dsched.task("reports.send")' in one.text)
    module_of(block)
    assert REGISTRY.get("reports.send").context_parameter == "ctx"
    assert REGISTRY.get("reports.render").isolation == "process"


@pytest.mark.parametrize("block", blocks("toml", "text", "mermaid"), ids=str)
def test_every_other_block_has_a_test_of_its_own(block: Block) -> None:
    house = block.language == "text" and block.page.name == "architecture.md"
    picture = block.language == "mermaid" and block.page.name.startswith(("README", "archi"))
    acl = block.language == "text" and "user dsched" in block.text
    readme = block.language == "toml" and block.page.name.startswith("README")
    usage = block.language == "text" and block.page.name == "commands.md"  # test_generated.py
    mutant = block.language == "toml" and block.page.name == "reliability.md"  # tests/mutants
    assert block.file or house or picture or acl or readme or usage or mutant


def test_no_block_is_of_an_unknown_language() -> None:
    known = {"yaml", "python", "toml", "text", "mermaid", "sh"}
    assert {block.language for block in blocks()} == known


@pytest.mark.parametrize("block", blocks("sh"), ids=str)
def test_every_command_exists_and_takes_its_arguments(block: Block) -> None:
    lines = [line for line in block.text.splitlines() if line.strip()]
    assert lines
    for line in lines:
        words = shlex.split(line, comments=True)
        while "=" in words[0]:
            words.pop(0)
        if ">" in words:  # what follows is the shell's
            words = words[: words.index(">")]
        program = Path(words[0]).name
        if program == "make":
            targets = [word for word in words[1:] if "=" not in word]
            assert set(targets) <= MAKE, line
        elif program == "dsched-run":
            if "--help" not in words:
                parse(words[1:])  # exits when it does not know an argument
        elif program == "dsched":
            _parse_dsched(words[1:])
        else:
            assert program in OTHERS, line
        for word in words[1:]:
            if word.startswith(("./", "tests/", "docs/")):
                assert (ROOT / word).exists(), line


def _parse_dsched(words: list[str]) -> None:
    """Raises `click.UsageError` for what the command does not know."""
    ctx = root.make_context("dsched", list(words))
    while isinstance(ctx.command, click.Group):
        name, command, rest = ctx.command.resolve_command(ctx, [*ctx._protected_args, *ctx.args])
        assert command is not None, words
        ctx = command.make_context(name, rest, parent=ctx)
