"""The plugin: found by its entry point, its options, its check of payloads."""

import os
import subprocess
import sys
from datetime import timedelta
from importlib.metadata import entry_points
from typing import Any

import cattrs
import pluggy
import pytest
from dsched_local_test_kit import APP, Run

from dsched.contracts import hookspecs
from dsched.functions.registry import Registry
from dsched_executor_local import plugin
from dsched_executor_local.environment import child_environment
from dsched_executor_local.executor import LocalExecutor
from dsched_executor_local.frames import MAX_FRAME_BYTES, FrameError, body_size, pack, unpack
from dsched_executor_local.options import LocalOptions
from dsched_executor_local.payload import payload_problems


def test_the_entry_point_leads_to_one_provider_named_local() -> None:
    [entry] = entry_points(group="dsched", name="local")
    hooks = pluggy.PluginManager(hookspecs.PROJECT)
    hooks.add_hookspecs(hookspecs)
    hooks.register(entry.load())
    hooks.check_pending()
    [[provider]] = hooks.hook.dsched_executors()
    assert (provider.name, provider.protocol) == ("local", "local")
    assert provider.options is LocalOptions


def test_listing_the_plugin_does_not_load_the_executor() -> None:
    code = (
        "import sys; from dsched_executor_local import plugin; plugin.dsched_executors(); "
        "assert 'dsched_executor_local.executor' not in sys.modules; "
        "assert 'multiprocessing' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)


async def test_opening_imports_the_application_and_runs_its_functions() -> None:
    async with plugin.open_local(LocalOptions(app=(APP,))) as executor:
        assert isinstance(executor, LocalExecutor)
        assert (await Run(executor)("app.echo", [1])).data == 1
        assert APP in sys.modules


async def test_an_application_that_cannot_be_imported_is_named() -> None:
    with pytest.raises(plugin.AppImportError, match=r"executors\.local\.app: module 'no_such_app'"):
        async with plugin.open_local(LocalOptions(app=("no_such_app",))):
            pass


def test_options_come_from_plain_values() -> None:
    read = {"app": ["a.b"], "max_threads": 4, "max_processes": 2, "pass_env": ["HOME"]}
    converter = cattrs.Converter(forbid_extra_keys=True)
    # The core's loader reads "2s"; here it is enough that durations are timedeltas.
    converter.register_structure_hook(timedelta, lambda value, _: timedelta(seconds=value))
    options = converter.structure({**read, "kill_grace": 3}, LocalOptions)
    assert options.kill_grace == timedelta(seconds=3)
    assert options.app == ("a.b",)
    assert options.pass_env == ("HOME",)
    assert LocalOptions().max_processes == (os.cpu_count() or 1)


@pytest.mark.parametrize(
    "options",
    [
        {"max_threads": 0}, {"max_processes": 0}, {"process_memory_bytes": 1000},
        {"max_tasks_per_process": 0}, {"kill_grace": timedelta(0)}, {"process_idle": timedelta(-1)},
    ],
)  # fmt: skip
def test_options_that_cannot_work_are_refused_by_name(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        LocalOptions(**options)


def test_a_payload_is_judged_by_its_form_always_and_by_its_function_where_any_is_known() -> None:
    empty, registry = Registry(), Registry()
    registry.task("work")(lambda a, b=1: None)
    assert payload_problems({"function": "wrok"}, empty) == []
    assert "arg: is not a known key" in payload_problems({"function": "f", "arg": 1}, empty)[0]
    assert len(payload_problems({"arg": 1}, registry)) == 2
    assert payload_problems({"function": "work", "args": {"a": 1}}, registry) == []
    assert "did you mean 'work'?" in payload_problems({"function": "wrok"}, registry)[0]
    [misfit] = payload_problems({"function": "work", "args": {"c": 1}}, registry)[:1]
    assert misfit == "'args' do not fit work(a, b=1): missing argument 'a'"
    assert len(payload_problems({"function": "work", "args": {"c": 1}}, registry)) == 2


@pytest.mark.parametrize("payload", [None, [], "text", 3])
def test_a_payload_that_is_no_mapping_is_a_problem(payload: Any) -> None:
    assert "must be a mapping" in plugin.check_payload(payload)[0]


def test_an_allowed_variable_passes_though_it_looks_like_a_secret() -> None:
    variables = {"API_TOKEN": "t", "dsched_x": "1", "HOME": "/", "PWD": "/", "KEYBOARD": "us"}
    assert child_environment(variables, ()) == {"HOME": "/", "PWD": "/", "KEYBOARD": "us"}
    assert child_environment(variables, ("API_TOKEN",))["API_TOKEN"] == "t"


def test_frames_are_bounded_and_objects_only() -> None:
    assert unpack(pack({"a": "ü\ud800"})[4:]) == {"a": "ü\ud800"}
    with pytest.raises(FrameError, match="over"):
        pack({"a": "x" * MAX_FRAME_BYTES})
    with pytest.raises(FrameError, match="at most"):
        body_size(b"\xff\xff\xff\xff")
    for body in (b"[1]", b"nope", b"\xff", b"[" * 100_000):
        with pytest.raises(FrameError):
            unpack(body)
