"""Configs."""

from collections.abc import Sequence
from datetime import timedelta
from functools import lru_cache

from dsched.contracts.store.bounds import MAX_HEAVY_BATCH
from dsched.contracts.store.checks import check_batch, check_limit
from dsched.contracts.store.codec import write_config, write_spec_around_revision
from dsched.contracts.store.configs import (
    ConfigPage,
    Configs,
    ConfigVersion,
    PutAnswer,
    PutConfig,
    Rearm,
    StoredConfig,
)
from dsched.contracts.store.operating import Skip
from dsched.contracts.store.outcomes import Outcome
from dsched.model import (
    API_ORIGIN,
    JsonValue,
    Overlap,
    SkippedRange,
    SkipReason,
    TaskConfig,
    TaskSpec,
    need_of,
)
from dsched.model.json import dumps
from dsched_store_redis.base import OnRedis
from dsched_store_redis.rows import read_configs, read_put_config, read_stored_config
from dsched_store_redis.wire import decode, ids, is_id, lines, number, outcome, text

_DEFAULT_PRIORITY = 5


class RedisConfigs(OnRedis, Configs):
    """Configs."""

    async def put(self, items: Sequence[PutConfig], *, by: str) -> tuple[PutAnswer, ...]:
        """Create or change configs."""
        check_batch([item.config.id for item in items], MAX_HEAVY_BATCH)
        if not items:
            return ()
        specs = [item.config.spec for item in items]
        split = [write_spec_around_revision(spec) for spec in specs]
        contents = [write_config(item.config) for item in items]
        answer = await self._step(
            "put",
            by,
            lines(_put_row(item, spec) for item, spec in zip(items, specs, strict=True)),
            lines(contents),
            lines(head for head, _ in split),
            lines(tail for _, tail in split),
            durable=True,
        )
        return tuple(
            PutAnswer(outcome=outcome(word), stored=read_put_config(row, item.config, content))
            for (word, row), item, content in zip(answer[1], items, contents, strict=True)
        )

    async def get_configs(self, config_ids: Sequence[str]) -> tuple[StoredConfig | None, ...]:
        """Configs by id."""
        check_batch(config_ids)
        answer = await self._step("get_configs", ids(config_ids))
        return tuple(read_stored_config(row) for row in answer[1])

    async def list_configs(
        self, cursor: str | None, limit: int, *, origin: str | None = None, prefix: str = ""
    ) -> ConfigPage:
        """Configs by ascending id."""
        check_limit(limit)
        # Compared here: a server compares texts in a script by the rules of its locale.
        after = cursor if cursor is not None and cursor >= prefix else ""
        wanted = () if origin is None else (origin,)
        answer = await self._step("list_configs", after, limit, prefix, *wanted)
        return ConfigPage(configs=read_configs(answer[1]), cursor=decode(answer[2]) or None)

    async def delete(self, config_id: str, rearm: Rearm, *, by: str) -> Outcome:
        """Remove a config."""
        if not is_id(config_id):
            return Outcome.UNKNOWN
        return outcome((await self._rearm("delete", config_id, rearm, by))[0])

    async def pause(
        self, config_id: str, rearm: Rearm, *, by: str, why: str, until_ms: int | None = None
    ) -> Outcome:
        """Pause a config."""
        if not is_id(config_id):
            return Outcome.UNKNOWN
        more = (text(why), text(by), number(until_ms))
        return outcome((await self._rearm("pause", config_id, rearm, by, *more))[0])

    async def resume(self, config_id: str, rearm: Rearm, *, by: str) -> Outcome:
        """Resume a config."""
        if not is_id(config_id):
            return Outcome.UNKNOWN
        return outcome((await self._rearm("resume", config_id, rearm, by))[0])

    async def _rearm(
        self, step: str, config_id: str, rearm: Rearm, by: str, *more: str
    ) -> list[bytes]:
        return await self._step(
            step,
            by,
            config_id,
            _version(rearm.read),
            rearm.upto_ms,
            rearm.latest_ms,
            number(rearm.next_due_ms),
            _skipped_items(config_id, rearm),
            *more,
            durable=True,
        )


def skipped_item(config_id: str, skipped: SkippedRange | None) -> str:
    """The item of a ``skipped`` event, or nothing."""
    if skipped is None:
        return ""
    item: dict[str, JsonValue] = {
        "config": config_id,
        "first": skipped.first_ms,
        "last": skipped.last_ms,
        "count": skipped.count,
        "reason": skipped.reason.value,
    }
    for key in ("trigger", "who", "why"):
        if text := getattr(skipped, key):
            item[key] = text
    return dumps(item)


def _skipped_items(config_id: str, rearm: Rearm) -> str:
    """The items of a ``skipped`` event about the ranges of a change, or nothing."""
    return ",".join(skipped_item(config_id, one) for one in rearm.ranges)


def left_out_item(config_id: str, skip: Skip) -> str:
    """The item of a ``skipped`` event about an instant that an operator asked not to fire."""
    return dumps(
        {
            "config": config_id,
            "first": skip.at_ms,
            "last": skip.at_ms,
            "count": 1,
            "reason": SkipReason.OPERATOR.value,
            "who": skip.who,
            "why": skip.why,
        }
    )


def route(item: TaskSpec) -> str:
    """What dispatch needs beyond priority and time, or nothing; nobody is sought for a run."""
    if item.workflow is not None:
        return ""
    need = need_of(item.executor, item.payload)
    if item.limits:
        return dumps(
            {
                "required": dict(item.required_labels),
                "affinity": item.affinity_key,
                "need": need,
                "limits": list(item.limits),
            }
        )
    if not (item.required_labels or need) and item.affinity_key is None:
        return ""
    if not item.required_labels and item.affinity_key is None:
        return _route_of_need(need)
    labels = dict(item.required_labels)
    return dumps({"required": labels, "affinity": item.affinity_key, "need": need})


@lru_cache(maxsize=4096)
def _route_of_need(need: str) -> str:
    """The route of most tasks, of which there are few different ones."""
    return dumps({"required": {}, "affinity": None, "need": need})


def _version(read: ConfigVersion) -> str:
    due, last = number(read.due_ms), number(read.last_fired_ms)
    return f"{read.revision}\t{due}\t{last}\t{'1' if read.paused else '0'}"


def config_fields(config: TaskConfig, spec: TaskSpec) -> list[tuple[str, str]]:
    """What the steps need of a config with this snapshot, by name; ``enabled`` is told and not
    kept."""
    fields = []
    if config.overlap is not Overlap.SKIP:
        fields.append(("overlap", config.overlap.value))
    if config.overlap is Overlap.QUEUE_ALL:
        fields.append(("cap", str(config.misfire_cap)))
    if config.workflow is not None:
        fields.append(("run", "1"))
    elif config.start_deadline is not None:
        fields.append(("deadline", str(span_ms(config.start_deadline))))
    if config.priority != _DEFAULT_PRIORITY:
        fields.append(("priority", str(config.priority)))
    if config.fixed_delay is not None:
        fields.append(("delay", str(span_ms(config.fixed_delay))))
    if config.pause_after_failures is not None:
        fields.append(("fails_max", str(config.pause_after_failures)))
    if config.max_runs is not None:
        fields.append(("fires_max", str(config.max_runs)))
    if config.enabled:
        fields.append(("enabled", "1"))
    if config.origin != API_ORIGIN:
        fields.append(("origin", config.origin))
    if config.max_running is not None:
        fields.append(("most", str(config.max_running)))
    way = route(spec)
    if way:
        fields.append(("route", way))
    return fields


def _put_row(item: PutConfig, spec: TaskSpec) -> str:
    config, rearm = item.config, item.rearm
    fields = [f"{name}\t{value}" for name, value in config_fields(config, spec)]
    return "\t".join(
        (
            config.id,
            _version(rearm.read),
            str(rearm.upto_ms),
            str(rearm.latest_ms),
            number(rearm.next_due_ms),
            str(config.created_ms),
            _skipped_items(config.id, rearm),
            "\t".join(fields),
        )
    )


def span_ms(span: timedelta) -> int:
    """Whole milliseconds of a timedelta."""
    return round(span.total_seconds() * 1000)
