"""What the settings of a pod name as secrets reaches no child process, in a whole pod."""

import os
from typing import Any

import dsched_local_test_app
import pytest
from dsched_local_test_kit import APP, Opener

import dsched
from dsched.contracts import TaskFailed
from dsched.contracts.executor import withheld
from dsched.contracts.executor.withheld import Withheld, named_in
from dsched_executor_local import environment
from dsched_executor_local.environment import PassEnvError, child_environment
from dsched_executor_local.options import LocalOptions

VALUE = "a-value-that-nobody-knows"


@pytest.fixture(autouse=True)
def afresh(monkeypatch: pytest.MonkeyPatch) -> None:
    fresh = Withheld()
    monkeypatch.setattr("dsched.config.reading.WITHHELD", fresh)
    monkeypatch.setattr(environment, "WITHHELD", fresh)


def settings(tmp_path: Any, **local: Any) -> dict[str, Any]:
    return {
        "store": "sqlite",
        "sqlite": {"path": str(tmp_path / "a.db")},
        "executors": {
            "local": {"app": [APP], **local},
            "http": {"secret_env": ["BILLING_ACCESS", "SHOP_*"]},
            "grpc": {"secret_env": ["LEDGER_ACCESS"]},
        },
        "alerts": {"url": "https://hooks.example.com/x", "secret": "secret://env/ALERT_SIGN"},
    }


async def test_what_secret_env_and_alerts_name_reaches_no_child_process(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = ("BILLING_ACCESS", "SHOP_LOGIN", "LEDGER_ACCESS", "ALERT_SIGN")
    for name in named:
        monkeypatch.setenv(name, f"{VALUE}-of-{name}")
    monkeypatch.setenv("SAME_AS_BILLING", os.environ["BILLING_ACCESS"])
    monkeypatch.setenv("SHIP_TO", "Berlin")
    async with dsched.pod(settings(tmp_path), roles=["scheduler", "worker"]) as pod:
        payload = {"function": "app.environment"}
        task_id = await pod.client.submit(dsched.TaskSpec(executor="local", payload=payload))
        seen: Any = await pod.client.result(task_id, timeout_s=30)
    assert [name for name in (*named, "SAME_AS_BILLING") if name in seen] == []
    assert VALUE not in str(seen)
    assert seen["SHIP_TO"] == "Berlin"


@pytest.mark.parametrize("name", ["BILLING_ACCESS", "SHOP_LOGIN", "ALERT_SIGN"])
async def test_to_pass_it_all_the_same_is_refused_at_the_start(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("ALERT_SIGN", VALUE)
    with pytest.raises(PassEnvError, match=f"pass_env names {name}.*take it out"):
        async with dsched.pod(settings(tmp_path, pass_env=[name])):
            pass


def test_names_are_found_wherever_they_stand() -> None:
    raw = {
        "a": {"secret_env": ["ONE", "TWO_*"], "b": [{"secret_env": ("THREE",)}]},
        "c": {"header": "Bearer secret://env/FOUR, or secret://file/five"},
        "d": {"secret_env": "no list", "e": {"secret_env": [6, ""]}},
    }
    assert named_in(raw) == {"ONE", "TWO_*", "THREE", "FOUR"}


def test_a_pattern_withholds_what_begins_so_and_no_more() -> None:
    held = Withheld()
    assert not held.holds("SHOP_LOGIN")
    held.add(["SHOP_*", "NAME"])
    assert [held.holds(name) for name in ("SHOP_LOGIN", "NAME", "NAMES", "MY_SHOP_LOGIN")] == [
        *(True, True),
        *(False, False),
    ]


def test_short_values_are_nobodys_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    environment.WITHHELD.add(["SWITCH"])
    assert child_environment({"SWITCH": "on", "LIGHT": "on"}, ()) == {"LIGHT": "on"}
    assert withheld.WITHHELD is not environment.WITHHELD


async def test_a_setup_is_called_once_in_each_child_and_not_in_the_worker(opened: Opener) -> None:
    async with opened(app=[APP], setup=f"{APP}:set_up", max_processes=1) as run:
        seen = [(await run("app.how_set_up")).data for _ in range(3)]
    assert seen == [["once"]] * 3
    assert dsched_local_test_app.SET_UP == []


@pytest.mark.parametrize(
    ("setup", "why"),
    [
        (f"{APP}:cannot_set_up", "RuntimeError: no database"),
        (f"{APP}:nobody", "AttributeError"),
        ("no_such_module:setup", "ModuleNotFoundError"),
    ],
)
async def test_a_setup_that_fails_is_named(opened: Opener, setup: str, why: str) -> None:
    async with opened(app=[APP], setup=setup) as run:
        with pytest.raises(TaskFailed) as caught:
            await run("app.echo", [1])
    assert caught.value.code == "child_start"
    assert f"could not call executors.local.setup, {setup}: {why}" in caught.value.message


@pytest.mark.parametrize("setup", ["django", "django.setup", ":setup", "a b:c", "a:b()"])
def test_a_setup_that_names_no_function_is_refused(setup: str) -> None:
    with pytest.raises(ValueError, match="setup must be module:function"):
        LocalOptions(setup=setup)
