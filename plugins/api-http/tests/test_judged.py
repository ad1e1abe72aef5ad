"""An entry that a dry run has judged is not judged again by the put that follows."""

from typing import Any

import pytest

from dsched.contracts import EntryError
from dsched.model import TaskConfig
from dsched_api_http.judged import LASTS_S, MOST_BYTES, Judged

ENTRY = {"executor": "echo", "payload": {"a": 1}, "cron_expr": "0 2 * * *"}
PATH = "/configs/batch"


class Counting:
    """An intake whose judgements are counted."""

    def __init__(self) -> None:
        self.judged = 0

    def config(self, config_id: str, entry: dict[str, Any]) -> TaskConfig:
        self.judged += 1
        if "nonsense" in entry:
            raise EntryError([("nonsense", "is not a known key")])
        return TaskConfig(id=config_id, **entry)


@pytest.fixture
def intake() -> Counting:
    return Counting()


def test_a_dry_run_and_the_put_of_the_same_entry_judge_it_once(intake: Counting) -> None:
    judged = Judged(intake)
    tried = judged.config("a", dict(ENTRY), dry_run=True)
    assert judged.config("a", dict(ENTRY), dry_run=False) == tried
    assert intake.judged == 1
    assert judged.size == 0, "what was put is remembered no longer"


@pytest.mark.parametrize(
    ("config_id", "entry"), [("b", ENTRY), ("a", {**ENTRY, "payload": {"a": 1.0}})]
)
def test_what_differs_is_judged_by_itself(
    intake: Counting, config_id: str, entry: dict[str, Any]
) -> None:
    judged = Judged(intake)
    judged.config("a", ENTRY, dry_run=True)
    assert judged.config(config_id, entry, dry_run=False).payload == entry["payload"]
    assert intake.judged == 2


def test_a_refused_entry_is_refused_again(intake: Counting) -> None:
    judged = Judged(intake)
    for dry_run in (True, False):
        with pytest.raises(EntryError):
            judged.config("a", {**ENTRY, "nonsense": 1}, dry_run=dry_run)
    assert judged.size == 0


def test_after_two_minutes_it_is_judged_again(intake: Counting) -> None:
    now_s = [0.0]
    judged = Judged(intake, lambda: now_s[0])
    judged.config("a", ENTRY, dry_run=True)
    now_s[0] = LASTS_S
    judged.config("a", ENTRY, dry_run=False)
    assert intake.judged == 2
    assert judged.size == 0


def test_what_is_remembered_has_a_bound_in_bytes(intake: Counting) -> None:
    judged = Judged(intake)
    large = {**ENTRY, "payload": "x" * 200_000}
    for number in range(60):
        judged.config(f"c{number}", large, dry_run=True)
        assert judged.size <= MOST_BYTES
    judged.config("c59", large, dry_run=False)
    assert intake.judged == 60, "the newest are kept"
    judged.config("c0", large, dry_run=False)
    assert intake.judged == 61


async def test_a_put_after_a_dry_run_stores_what_a_put_alone_would(api: Any) -> None:
    body = {"items": [{"id": name, **ENTRY} for name in ("a", "b")]}
    tried = await api.ask("POST", f"{PATH}?origin=file:x&dry_run=true", body)
    put = await api.ask("POST", f"{PATH}?origin=file:y", body)
    assert [one["outcome"] for one in put.body["items"]] == ["created", "created"]
    assert [one["config"]["spec"] for one in put.body["items"]] == [
        one["config"]["spec"] for one in tried.body["items"]
    ]
    assert {one["config"]["origin"] for one in put.body["items"]} == {"file:y"}
