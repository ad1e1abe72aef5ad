"""Carries out a plan of declared configs through a client."""

import logging
from collections.abc import Mapping, Sequence

import attrs

from dsched.client import Client, ConflictError, NotFoundError
from dsched.contracts.store.configs import StoredConfig
from dsched.declaring.plan import Conflict, DeclarationPlan, Present, plan_declaration
from dsched.model import API_ORIGIN, ORPHAN, InvalidConfigError, Limit, TaskConfig

log = logging.getLogger("dsched.configs")

PAGE = 100


@attrs.frozen(kw_only=True)
class Declared:
    """What was planned, and the wanted configs as they are stored now, conflicts left out.

    ``conflicts``: those of the plan, and what another origin took while the plan was carried out.
    ``unlimited``: why a config is not put that names a limit which is not there, by id.
    """

    plan: DeclarationPlan
    stored: tuple[StoredConfig, ...]
    conflicts: tuple[Conflict, ...]
    unlimited: Mapping[str, str] = attrs.field(factory=dict)


@attrs.frozen(kw_only=True)
class Source:
    """What one origin declares, each config of this origin. ``orphans``: stored configs that it no
    longer declares are paused. ``limits``: its own, put before all configs."""

    origin: str
    configs: tuple[TaskConfig, ...]
    orphans: bool
    limits: tuple[Limit, ...] = ()


async def declare(
    client: Client,
    wanted: Sequence[TaskConfig],
    *,
    origin: str,
    adopt: bool = False,
    prune: bool = False,
    orphan: bool = True,
) -> Declared:
    """Make ``wanted`` all that ``origin`` declares; see `plan_declaration` for the rest.

    Any number of pods may declare the same at once, and each may repeat it: each act compares the
    origin again with what is stored. Raises what the client's calls raise, conflicts of origin
    and limits that are not there excepted: those are part of the answer.
    """
    configs = {one.id: one.of_origin(origin) for one in wanted}
    held = await _held(client, list(configs), origin, everything=orphan or prune)
    plan = plan_declaration(
        [present(one) for one in held.values()],
        {config_id: _content(config) for config_id, config in configs.items()},
        origin=origin,
        adopt=adopt,
        prune=prune,
        orphan=orphan,
    )
    await _say_overwritten(client, plan, held)
    stored = {one: held[one] for one in plan.unchanged}
    unlimited: dict[str, str] = {}
    lost = await _put(client, plan, configs, stored=stored, unlimited=unlimited)
    await _drop(client, plan)
    return Declared(
        plan=plan,
        stored=tuple(stored[one] for one in configs if one in stored),
        conflicts=(*plan.conflicts, *lost),
        unlimited=unlimited,
    )


async def _say_overwritten(
    client: Client, plan: DeclarationPlan, held: Mapping[str, StoredConfig]
) -> None:
    """Warn where other pods run: two with unlike files of one origin would undo each other."""
    if not plan.change:
        return
    others = sorted({one.name for one in await client.pods() if one.name != client.by})
    if not others:
        return
    shown = ", ".join(f"{one} (revision {held[one].config.revision})" for one in plan.change[:5])
    log.warning(
        "%s declares other content than is stored for %d configs, and overwrites it: %s%s. "
        "Pods that run too (%s) put the stored content back when they start again with the "
        "files that they had; give all the same files",
        plan.origin,
        len(plan.change),
        shown,
        ", ..." if len(plan.change) > 5 else "",
        ", ".join(others[:5]),
    )


async def conflicts(client: Client, source: Source) -> tuple[Conflict, ...]:
    """The configs of a source that another origin declares already; changes nothing."""
    wanted = {one.id: _content(one) for one in source.configs}
    held = await _held(client, list(wanted), source.origin, everything=False)
    found = [present(one) for one in held.values()]
    return plan_declaration(found, wanted, origin=source.origin, orphan=False).conflicts


def report(declared: Declared) -> None:
    """Log what became of each config."""
    for stored in declared.stored:
        log.info("config %s is in place (revision %d)", stored.config.id, stored.config.revision)
    for conflict in declared.conflicts:
        log.error(
            "config %s is not put: it is declared by %s, not by %s; remove it from one of them, or "
            "take it over with --adopt",
            conflict.id,
            conflict.origin,
            declared.plan.origin,
        )
    for config_id, why in declared.unlimited.items():
        log.error("config %s of %s is not put: %s", config_id, declared.plan.origin, why)
    for config_id in declared.plan.orphan:
        log.warning(
            "config %s is paused: %s no longer declares it", config_id, declared.plan.origin
        )


def present(stored: StoredConfig) -> Present:
    """The part of a stored config that planning compares."""
    return Present(
        id=stored.config.id,
        origin=stored.config.origin,
        content=_content(stored.config),
        paused=stored.paused is not None,
        orphaned=stored.paused is not None and stored.paused.who == ORPHAN,
    )


def _content(config: TaskConfig) -> TaskConfig:
    """The author's content: the store's fields never compare, and the origin is levelled."""
    return config.of_origin(API_ORIGIN)


async def _held(
    client: Client, ids: Sequence[str], origin: str, *, everything: bool
) -> dict[str, StoredConfig]:
    """The stored configs of these ids, and with ``everything`` all of this origin."""
    held = await _of_origin(client, origin) if everything else {}
    others = await client.get_configs([one for one in ids if one not in held])
    return held | {one.config.id: one for one in others if one is not None}


async def _of_origin(client: Client, origin: str) -> dict[str, StoredConfig]:
    held: dict[str, StoredConfig] = {}
    cursor = None
    while True:
        page = await client.list_configs(cursor=cursor, limit=PAGE, origin=origin)
        held |= {one.config.id: one for one in page.configs}
        cursor = page.cursor
        if cursor is None:
            return held


async def _put(
    client: Client,
    plan: DeclarationPlan,
    configs: Mapping[str, TaskConfig],
    *,
    stored: dict[str, StoredConfig],
    unlimited: dict[str, str],
) -> list[Conflict]:
    """Put, then resume, noting what is stored now. Answers with what others took meanwhile."""
    lost = []
    for ids, adopt in (((*plan.create, *plan.change), False), (plan.adopt, True)):
        for done in await client.put_configs([configs[one] for one in ids], adopt=adopt):
            if isinstance(done.error, ConflictError):
                lost.append(await _lost(client, done.id, done.error))
            elif isinstance(done.error, InvalidConfigError) and done.error.field == "limits":
                unlimited[done.id] = str(done.error)
            else:
                stored[done.id] = done.kept()
    for config_id in plan.resume:
        if config_id in stored:
            await client.resume_config(config_id)
            stored[config_id] = await client.get_config(config_id)
    return lost


async def _lost(client: Client, config_id: str, error: ConflictError) -> Conflict:
    """The conflict with an origin that was faster than this plan."""
    if error.code != "origin_conflict":
        raise error
    return Conflict(id=config_id, origin=(await client.get_config(config_id)).config.origin)


async def _drop(client: Client, plan: DeclarationPlan) -> None:
    """Orphan or delete what is no longer declared, unless somebody took it over meanwhile."""
    for config_id in (*plan.orphan, *plan.delete):
        try:
            if config_id in plan.delete:
                await client.delete_config(config_id, origin=plan.origin)
            else:
                await client.orphan_config(config_id, origin=plan.origin)
        except NotFoundError:
            continue
        except ConflictError as error:
            if error.code != "origin_conflict":
                raise
