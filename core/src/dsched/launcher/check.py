"""``dsched-run --check``: says whether this pod would start, without starting it."""

import time
from collections.abc import Sequence

from dsched.assembly import store_opener
from dsched.client import Client
from dsched.config import ConfigError, LoadedSettings
from dsched.contracts.store.standing import check_cluster, cluster_name
from dsched.declaring import Source, conflicts, limit_conflicts
from dsched.launcher.limits import stored_among, unknown_limits_of
from dsched.loading import Catalogue
from dsched.loading.opening import opened_by
from dsched.planning import calendar_warnings, config_warnings


async def check(
    loaded: LoadedSettings, catalogue: Catalogue, sources: Sequence[Source]
) -> list[str]:
    """What was found, a line each. Raises what a start would raise."""
    lines = [f"config: {loaded.file or 'defaults'}: ok"]
    lines += [f"warning: {warning}" for warning in (*catalogue.warnings, *loaded.warnings)]
    lines += _plugins(catalogue)
    _openable(loaded, catalogue)
    found, disputed, stored = await _store(loaded, catalogue, sources)
    if unknown := unknown_limits_of(sources, stored):
        raise ConfigError(unknown)
    lines.append(f"store: {loaded.settings.store}: {found}")
    lines += disputed
    lines += [f"warning: {warning}" for warning in task_warnings(sources)]
    ids = [task.id for source in sources for task in source.configs]
    lines.append(f"tasks: {len(ids)} ok" + (f": {', '.join(ids[:10])}" if ids else ""))
    limits = [limit.id for source in sources for limit in source.limits]
    lines += [f"limits: {len(limits)} ok: {', '.join(limits[:10])}"] if limits else []
    return lines


def task_warnings(sources: Sequence[Source]) -> list[str]:
    """What the declared tasks say that is probably a mistake, or soon will be."""
    now_ms = time.time_ns() // 1_000_000
    return [
        f"task {task.id}: {warning}"
        for source in sources
        for task in source.configs
        for warning in (*config_warnings(task), *calendar_warnings(task, now_ms=now_ms))
    ]


async def _store(
    loaded: LoadedSettings, catalogue: Catalogue, sources: Sequence[Source]
) -> tuple[str, list[str], set[str]]:
    """How the store is, without creating one; what is declared elsewhere already; and which of the
    limits that tasks name it has."""
    name = loaded.settings.store
    absent = catalogue.stores[name].provider.absent(loaded.stores[name])
    if absent is not None:
        return absent, [], set()
    async with store_opener(loaded, catalogue)() as store:
        check_cluster(await cluster_name(store), loaded.settings.cluster)
        counts = await store.counts()
        client = Client(store)
        disputed = [
            f"warning: {what} {one.id} is declared by {one.origin}, not by {source.origin}: it is "
            "not put without --adopt"
            for source in sources
            for what, found in (
                ("limit", await limit_conflicts(client, source.limits, origin=source.origin)),
                ("config", await conflicts(client, source)),
            )
            for one in found
        ]
        stored = await stored_among(client, sources)
    return f"ok, {counts.configs} configs", disputed, stored


def _openable(loaded: LoadedSettings, catalogue: Catalogue) -> None:
    """Raise `PluginError` for a plugin whose `open` is no context manager; nothing is opened."""
    for kind in ("executors", "observers", "services"):
        for name, one in getattr(catalogue, kind).items():
            opened_by(one, getattr(loaded, kind)[name])


def _plugins(catalogue: Catalogue) -> list[str]:
    kinds = {
        "executor": catalogue.executors,
        "balancer": catalogue.balancers,
        "store": catalogue.stores,
        "observer": catalogue.observers,
        "service": catalogue.services,
        "pages": catalogue.pages,
    }
    return [
        f"{kind}: {name} ({one.distribution} {one.version})"
        for kind, installed in kinds.items()
        for name, one in installed.items()
    ]
