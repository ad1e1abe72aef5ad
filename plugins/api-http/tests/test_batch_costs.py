"""What a batch of configs costs the pod and its store, in counts that hold on every machine."""

from collections import Counter
from typing import Any

import pytest

from dsched.config.intake import CatalogueIntake
from dsched.contracts.store.bounds import MAX_HEAVY_BATCH
from dsched_api_http.routes import config_batch
from dsched_testkit.memory import MemoryStore

PATH = "/configs/batch?brief=true&origin=file:jobs"
MANY = 100
PARTS = -(-MANY // MAX_HEAVY_BATCH)  # a put is read and written once for each
STEPS = ("get_configs", "put", "counts", "list_configs", "put_document", "get_document")


def entries(**more: Any) -> dict[str, Any]:
    return {
        "items": [
            {"id": f"c{one}", "executor": "echo", "payload": {"n": one}, "every": "1h", **more}
            for one in range(MANY)
        ]
    }


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each step was taken, an entry judged, and a config made ready to be answered."""
    found: Counter[str] = Counter()

    def count(owner: Any, name: str) -> None:
        real = getattr(owner, name)

        def counting(*args: Any, **kwargs: Any) -> Any:
            found[name] += 1
            return real(*args, **kwargs)

        monkeypatch.setattr(owner, name, counting)

    for step in STEPS:
        count(MemoryStore, step)
    count(CatalogueIntake, "config")
    count(config_batch, "shown")
    return found


async def test_new_configs_are_judged_once_and_none_is_answered(
    api: Any, counted: Counter[str]
) -> None:
    counted.clear()
    tried = await api.ask("POST", f"{PATH}&dry_run=true", entries())
    assert {one["outcome"] for one in tried.body["items"]} == {"created"}
    assert (counted["config"], counted["shown"]) == (MANY, 0)
    assert (counted["get_configs"], counted["put"]) == (1, 0)
    counted.clear()
    put = await api.ask("POST", PATH, entries())
    assert {one["outcome"] for one in put.body["items"]} == {"created"}
    assert (counted["config"], counted["shown"]) == (0, 0)
    assert (counted["get_configs"], counted["put"]) == (PARTS, PARTS)
    assert len(put.text) < MANY * 60
    assert counted["put_document"] == 1, "one entry of the audit"


async def test_of_equal_configs_none_is_answered_and_of_changed_ones_each(
    api: Any, counted: Counter[str]
) -> None:
    await api.ask("POST", PATH, entries())
    counted.clear()
    same = await api.ask("POST", f"{PATH}&dry_run=true", entries())
    assert {one["outcome"] for one in same.body["items"]} == {"unchanged"}
    assert (counted["config"], counted["shown"], counted["get_configs"]) == (MANY, 0, 1)
    counted.clear()
    changed = await api.ask("POST", f"{PATH}&dry_run=true", entries(timeout="7m"))
    assert {one["config"]["spec"]["timeout"] for one in changed.body["items"]} == {"7m"}
    assert (counted["config"], counted["shown"], counted["get_configs"]) == (MANY, MANY, 1)
    counted.clear()
    await api.ask("POST", PATH, entries(timeout="7m"))
    assert (counted["config"], counted["shown"]) == (0, 0)
    assert (counted["get_configs"], counted["put"]) == (PARTS, PARTS)


async def test_where_room_is_short_a_put_looks_which_configs_are_new(serve: Any) -> None:
    async with serve(max_configs=3) as api:
        body = {"items": entries()["items"][:2]}
        await api.ask("POST", PATH, body)
        body = {"items": entries(timeout="7m")["items"][:4]}
        answer = await api.ask("POST", PATH, body)
        told = [one["outcome"] for one in answer.body["items"]]
        assert told == ["changed", "changed", "created", "refused"]
        assert answer.body["items"][3]["problem"]["code"] == "quota_exceeded"
