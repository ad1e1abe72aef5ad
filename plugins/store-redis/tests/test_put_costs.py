"""What a put of many configs costs a pod, in counts that hold on every machine."""

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from dsched.contracts.store.bounds import MAX_HEAVY_BATCH
from dsched.contracts.store.configs import ConfigVersion, PutAnswer, PutConfig, Rearm, StoredConfig
from dsched.contracts.store.outcomes import Outcome
from dsched.model import TaskConfig
from dsched_store_redis import rows
from dsched_store_redis.store import RedisStore
from dsched_testkit.servers import RedisServer

IDS = [f"job-{one}" for one in range(MAX_HEAVY_BATCH)]


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often the text of a config was read, and a snapshot made of one."""
    found: Counter[str] = Counter()
    read, spec = rows.readable_config, TaskConfig.spec

    def reading(*args: Any, **known: Any) -> TaskConfig:
        found["read"] += 1
        return read(*args, **known)

    def making(config: TaskConfig) -> Any:
        found["spec"] += 1
        return spec.fget(config)  # type: ignore[attr-defined]

    monkeypatch.setattr(rows, "readable_config", reading)
    monkeypatch.setattr(TaskConfig, "spec", property(making))
    return found


async def put(
    store: RedisStore, minutes: int, versions: Sequence[ConfigVersion]
) -> tuple[PutAnswer, ...]:
    items = [
        PutConfig(
            config=TaskConfig(
                id=name,
                executor="local",
                every=timedelta(minutes=minutes),
                payload={"function": "work", "args": {"of": name, "deep": [{"a": None}, 1.5]}},
                labels={"team": "a"},
                origin="file:jobs",
            ),
            rearm=Rearm(read=version, upto_ms=0),
        )
        for name, version in zip(IDS, versions, strict=True)
    ]
    return await store.put(items, by="me")


def stored(answers: Sequence[PutAnswer]) -> list[StoredConfig]:
    found = [one.stored for one in answers if one.stored is not None]
    assert len(found) == len(answers)
    return found


async def test_what_was_just_written_is_not_read_back(
    shared_server: RedisServer, opener: Any, counted: Counter[str]
) -> None:
    new = [ConfigVersion()] * len(IDS)
    async with opener(shared_server) as store:
        made = await put(store, 1, new)
        assert {one.outcome for one in made} == {Outcome.OK}
        assert counted == {"spec": len(IDS)}, "one snapshot each, and no text is read"
        again = await put(store, 1, [one.version for one in stored(made)])
        assert {one.outcome for one in again} == {Outcome.DUP}
        changed = await put(store, 2, [one.version for one in stored(made)])
        assert {one.outcome for one in changed} == {Outcome.OK}
        assert counted == {"spec": 3 * len(IDS)}
        assert list(await store.get_configs(IDS)) == stored(changed)
        assert counted["read"] == len(IDS)


async def test_what_somebody_else_wrote_is_answered_as_it_stands(
    shared_server: RedisServer, opener: Any, counted: Counter[str]
) -> None:
    new = [ConfigVersion()] * len(IDS)
    async with opener(shared_server) as store:
        await put(store, 1, new)
        late = await put(store, 2, new)
        assert {one.outcome for one in late} == {Outcome.MOVED}
        assert {one.config.every for one in stored(late)} == {timedelta(minutes=1)}
        assert counted["read"] == len(IDS)
