"""Configs: get, list, put, patch, delete, pause, resume, trigger, decisions."""

import time
from collections.abc import Mapping
from typing import Any

import attrs

from dsched.client import NotFoundError, PreconditionError, check_origin
from dsched.contracts.store.configs import StoredConfig
from dsched.contracts.store.reading import TaskQuery
from dsched.model import InvalidIdError, JsonValue, TaskConfig, check_id, manual_task_id
from dsched.model.json import dumps
from dsched.planning import calendar_warnings, config_warnings
from dsched.selecting import config_page
from dsched_api_http.audit import fingerprint
from dsched_api_http.call import Answer, Call, Entry, Patch, Route, listing
from dsched_api_http.etags import etag, expected_revision
from dsched_api_http.list_requests import ConfigList
from dsched_api_http.models import (
    Config,
    DecisionView,
    TaskView,
    config_of,
    decision_of,
    recent_of,
    task_of,
)
from dsched_api_http.pause_requests import Pause
from dsched_api_http.problems import Problem, invalid
from dsched_api_http.requests import DeleteQuery, OptionalReason, Page, PutQuery
from dsched_api_http.routes.asking import named
from dsched_api_http.scopes import Scope
from dsched_api_http.selections import configs_meant, name_of
from dsched_api_http.trigger_request import Trigger

TRIES = 5  # of a change, while others change the config first


async def _stored(call: Call) -> StoredConfig:
    return await call.client.get_config(named(call, "config"))


def shown(call: Call, stored: StoredConfig) -> Config:
    """One config as answered, with warnings of probable mistakes."""
    found = config_of(stored, call.intake, show_payload=call.sees_payloads)
    warnings = warnings_of(stored.config)
    return attrs.evolve(found, warnings=warnings) if warnings else found


def warnings_of(config: TaskConfig) -> tuple[str, ...]:
    """What is allowed, and probably a mistake."""
    now_ms = time.time_ns() // 1_000_000  # a day more or less is none
    return config_warnings(config) + calendar_warnings(config, now_ms=now_ms)


def _answer(call: Call, stored: StoredConfig, **fields: Any) -> Answer:
    headers = {"ETag": etag(stored.config.revision), **fields.pop("headers", {})}
    return Answer(body=shown(call, stored), headers=headers, **fields)


async def list_configs(call: Call) -> Answer:
    """Configs by id: all, or those that are meant."""
    selection = configs_meant(call.query)

    async def fetch(cursor: str | None, limit: int) -> tuple[list[Config], str | None]:
        page = await config_page(call.store, selection, cursor, limit)
        return [await _listed(call, one) for one in page.configs], page.cursor

    return listing(*await call.page(name_of(selection), fetch))


async def _listed(call: Call, stored: StoredConfig) -> Config:
    """A config as listed, with its last tasks if they were asked for: the newest first."""
    found = config_of(stored, call.intake, show_payload=call.sees_payloads)
    if not call.query.recent:
        return found
    query = TaskQuery(config_id=stored.config.id)
    page = await call.client.list(query, limit=call.query.recent)
    return attrs.evolve(found, recent=tuple(map(recent_of, page.tasks)))


async def get_config(call: Call) -> Answer:
    """One config, with its revision as ETag."""
    return _answer(call, await _stored(call))


async def put_config(call: Call) -> Answer:
    """Create or replace a config; equal content changes nothing."""
    config = call.intake.config(call.path["id"], call.body)
    config = config.of_origin(call.query.origin)
    return await _put(call, lambda _: config)


async def patch_config(call: Call) -> Answer:
    """Change some fields of a config of origin `api`; a file's or code's is changed there."""

    def patched(stored: StoredConfig | None) -> TaskConfig:
        if stored is None:
            raise NotFoundError("UNKNOWN", f"there is no config {call.path['id']}")
        entry = merged(call.intake.entry(stored.config), call.body)
        return call.intake.config(stored.config.id, entry)

    named(call, "config")
    return await _put(call, patched)


async def _put(call: Call, wanted: Any) -> Answer:
    """Read, decide, compare and put; again if others changed the config meanwhile and the caller
    did not say which revision was meant."""
    expected = expected_revision(call.request)
    for _ in range(TRIES):
        old = await _optional(call)
        config = wanted(old)
        call.act.before = "" if old is None else fingerprint(call.intake.entry(old.config))
        call.act.after = fingerprint(call.intake.entry(config))
        try:
            expected.check(config.id, old)
            return await _put_once(call, old, config)
        except PreconditionError:
            if expected.given:
                raise
    raise Problem("moved", f"config {config.id} is being changed by somebody else; try again")


async def _optional(call: Call) -> StoredConfig | None:
    try:
        return await call.client.get_config(call.path["id"])
    except NotFoundError:
        return None


async def _put_once(call: Call, old: StoredConfig | None, config: TaskConfig) -> Answer:
    dry, adopt = getattr(call.query, "dry_run", False), getattr(call.query, "adopt", False)
    if old is None and await room_for_configs(call) < 1:
        raise no_room(call)
    if dry:
        if not adopt:
            check_origin(old, config.origin)
        stored = as_it_would_be(old, config)
    else:
        revision = 0 if old is None else old.config.revision
        stored = await call.client.put_config(config, adopt=adopt, expected_revision=revision)
    if old is None:
        outcome, status = "created", 201
    else:
        outcome, status = ("unchanged" if old.config == config else "changed"), 200
    return _answer(
        call, stored, status=200 if dry else status, headers={"X-Dsched-Outcome": outcome}
    )


def as_it_would_be(old: StoredConfig | None, config: TaskConfig) -> StoredConfig:
    """What a put would store, without the revision and the due, which only the store gives."""
    if old is None:
        return StoredConfig(config=config)
    kept = {name: getattr(old.config, name) for name in ("revision", "created_ms", "updated_ms")}
    return attrs.evolve(old, config=config.stamped(**kept))


async def room_for_configs(call: Call) -> int:
    """How many configs may still be made."""
    return call.api.options.max_configs - (await call.client.counts()).configs


def no_room(call: Call) -> Problem:
    """There are as many configs as there may be."""
    return Problem(
        "quota_exceeded",
        f"there are {call.api.options.max_configs} configs, and no more may be made",
        hint="delete some, or raise api.max_configs",
    )


def merged(entry: Mapping[str, JsonValue], patch: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """RFC 7396: null takes a field away, an object is merged, anything else replaces."""
    result = dict(entry)
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        elif isinstance(value, Mapping):
            below = result.get(name)
            result[name] = merged(below if isinstance(below, Mapping) else {}, value)
        else:
            result[name] = value
    return result


async def delete_config(call: Call) -> Answer:
    """Remove a config; its live tasks finish unless they are cancelled too."""
    stored = await _stored(call)
    call.act.before = fingerprint(call.intake.entry(stored.config))
    asked = call.query
    if asked.cancel and not asked.reason:
        raise invalid("reason", "say why tasks are cancelled: each of them is told")
    call.act.reason = asked.reason
    expected_revision(call.request).check(stored.config.id, stored)
    await call.client.delete_config(
        stored.config.id, cancel_tasks=asked.cancel, origin=asked.origin, why=asked.reason
    )
    return Answer()


async def pause_config(call: Call) -> Answer:
    """Let nothing fire until it is resumed; as orphaned, if its origin no longer declares it."""
    if call.body.orphan_of is None:
        until = call.body.for_ if call.body.until is None else call.body.until
        await call.client.pause_config(named(call, "config"), why=call.body.reason, until=until)
    else:
        await call.client.orphan_config(named(call, "config"), origin=call.body.orphan_of)
    return _answer(call, await _stored(call))


async def resume_config(call: Call) -> Answer:
    """End a pause."""
    await call.client.resume_config(named(call, "config"))
    return _answer(call, await _stored(call))


async def trigger_config(call: Call) -> Answer:
    """Run it now, beside its schedule."""
    try:
        key = check_id(call.body.key or call.claim.unique, "key")
    except InvalidIdError as error:
        raise invalid("key", str(error)) from error
    stored = await _stored(call)
    task_id = manual_task_id(stored.config.id, key)
    size = len(dumps(stored.config.payload)) + len(dumps(call.body.params))
    async with call.api.backlog.room(call.principal, {task_id: size}):
        await call.client.trigger(stored.config.id, key=key, params=call.body.params)
    call.act.after = task_id
    return Answer(body=task_of(await call.client.get(task_id, full=False)))


async def list_decisions(call: Call) -> Answer:
    """What happened to its instants, newest first."""
    stored_id = named(call, "config")

    async def fetch(cursor: str | None, limit: int) -> tuple[list[DecisionView], str | None]:
        page = await call.client.decisions(stored_id, cursor=cursor, limit=limit)
        return [decision_of(one) for one in page.decisions], page.cursor

    return listing(*await call.page(f"decisions {stored_id}", fetch))


_ONE = "/configs/{id}"
_CHANGES = ("not_found", "precondition_failed", "conflict", "moved", "origin_conflict")

ROUTES = (
    Route(
        method="GET",
        path="/configs",
        name="config.list",
        shared=True,
        scope=Scope.READ,
        handle=list_configs,
        summary="List configs",
        query=ConfigList,
        answer=Config,
        listed=True,
    ),
    Route(
        method="GET",
        path=_ONE,
        name="config.get",
        shared=True,
        scope=Scope.READ,
        handle=get_config,
        summary="Get a config",
        answer=Config,
        problems=("not_found",),
    ),
    Route(
        method="PUT",
        path=_ONE,
        name="config.put",
        scope=Scope.OPERATE,
        handle=put_config,
        summary="Create or replace a config",
        query=PutQuery,
        body=Entry,
        answer=Config,
        also=(201,),
        problems=(*_CHANGES, "quota_exceeded"),
        audited=True,
    ),
    Route(
        method="PATCH",
        path=_ONE,
        name="config.patch",
        scope=Scope.OPERATE,
        handle=patch_config,
        summary="Change fields of a config (RFC 7396)",
        body=Patch,
        answer=Config,
        problems=_CHANGES,
        audited=True,
    ),
    Route(
        method="DELETE",
        path=_ONE,
        name="config.delete",
        scope=Scope.OPERATE,
        handle=delete_config,
        summary="Delete a config",
        query=DeleteQuery,
        status=204,
        problems=_CHANGES,
        audited=True,
    ),
    Route(
        method="POST",
        path=f"{_ONE}/pause",
        name="config.pause",
        scope=Scope.OPERATE,
        handle=pause_config,
        summary="Pause a config",
        body=Pause,
        answer=Config,
        problems=_CHANGES,
        audited=True,
    ),
    Route(
        method="POST",
        path=f"{_ONE}/resume",
        name="config.resume",
        scope=Scope.OPERATE,
        handle=resume_config,
        summary="End the pause of a config",
        body=OptionalReason,
        body_optional=True,
        answer=Config,
        problems=_CHANGES,
        audited=True,
    ),
    Route(
        method="POST",
        path=f"{_ONE}/trigger",
        name="config.trigger",
        scope=Scope.SUBMIT,
        handle=trigger_config,
        summary="Run a config's task now",
        body=Trigger,
        body_optional=True,
        answer=TaskView,
        status=201,
        problems=("not_found", "idempotency_mismatch", "backlog_full"),
        audited=True,
        idempotent=True,
    ),
    Route(
        method="GET",
        path=f"{_ONE}/decisions",
        name="config.decisions",
        shared=True,
        scope=Scope.READ,
        handle=list_decisions,
        summary="What happened to a config's instants",
        query=Page,
        answer=DecisionView,
        listed=True,
        problems=("not_found",),
    ),
)
