"""What `dsched doctor` looks at: this installation, the store of a configuration, the server."""

import asyncio
import logging
import os
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib import metadata
from typing import Any

import attrs

from dsched_cli.calendar_words import calendar_words
from dsched_cli.calling import Api
from dsched_cli.cleaning import clean
from dsched_cli.columns import is_lost
from dsched_cli.errors import ApiError, CliError
from dsched_cli.times import show_span_ms
from dsched_cli.troubles import (
    busy_beside_room,
    nobody_can_run,
    refused_writes,
    waits_beside_room,
    waits_under_limits,
)

_SKEW_WARNING_MS = 1_000
_SKEW_ERROR_MS = 30_000
_MOST_CONFIGS = 10_000


@attrs.frozen
class Finding:
    """One thing looked at: ``ok``, ``warning`` or ``error``, what was seen, what to do."""

    check: str
    state: str
    detail: str
    todo: str = ""


def installation() -> Iterator[Finding]:
    """Python, versions of our distributions, plugins, zone rules."""
    yield Finding("python", "ok", sys.version.split()[0])
    yield _versions()
    yield from _plugins()
    from dsched.planning import zone_rules_version

    edition = zone_rules_version()
    state = "warning" if edition == "unknown" else "ok"
    todo = "install tzdata, so that it is known" if state == "warning" else ""
    yield Finding("zone rules", state, edition, todo)


def _versions() -> Finding:
    found = {
        str(one.name): one.version
        for one in metadata.distributions()
        if one.name and (one.name == "dsched" or one.name.startswith("dsched-"))
    }
    ours = found.get("dsched", "?")
    other = [f"{name} {version}" for name, version in sorted(found.items()) if version != ours]
    if other:
        return Finding(
            "versions",
            "warning",
            f"dsched {ours}, but {', '.join(other)}",
            "bring ours to one version; plugins of others have their own",
        )
    return Finding("versions", "ok", f"{len(found)} distributions of {ours}")


def _plugins() -> Iterator[Finding]:
    from dsched.loading import PluginError, load_catalogue

    try:
        catalogue = load_catalogue()
    except PluginError as error:
        yield Finding("plugins", "error", clean(str(error)), "`dsched plugin check` says more")
        return
    kinds = ("executors", "balancers", "stores", "observers", "services")
    counts = [f"{len(getattr(catalogue, kind))} {kind}" for kind in kinds]
    yield Finding("plugins", "ok", ", ".join(counts))
    for warning in catalogue.warnings:
        yield Finding("plugins", "warning", clean(warning))


def store_of(config_file: str | None) -> Iterator[Finding]:
    """The settings of a pod, and its store as a start would find it."""
    from dsched.config import ConfigError, read_plugin_settings, read_settings
    from dsched.contracts.store.outcomes import StoreError
    from dsched.launcher.check import check
    from dsched.loading import PluginError, load_catalogue

    heard = _Heard()
    logging.getLogger("dsched").addHandler(heard)
    try:
        allowed = read_plugin_settings(config_file, os.environ, {})
        catalogue = load_catalogue(enabled=allowed.enabled, disabled=allowed.disabled)
        loaded = read_settings(config_file, os.environ, {}, catalogue)
        lines = asyncio.run(check(loaded, catalogue, []))
    except (ConfigError, PluginError) as error:
        yield Finding("settings", "error", clean(str(error)), "correct the configuration")
        return
    except StoreError as error:
        yield Finding("store", "error", clean(str(error)), "it must answer before a pod starts")
        return
    finally:
        logging.getLogger("dsched").removeHandler(heard)
    yield Finding("settings", "ok", loaded.file or "defaults")
    for warning in loaded.warnings:
        yield Finding("settings", "warning", clean(warning))
    for line in lines:
        if line.startswith("store: "):
            yield Finding("store", "ok", clean(line.removeprefix("store: ")))
    for message in heard.warnings:
        yield Finding("store", "warning", clean(message))


class _Heard(logging.Handler):
    """Keeps what a store warns of at its start."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.warnings: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.warnings.append(record.getMessage())


def server(api: Api) -> Iterator[Finding]:
    """Whether it answers, its version, leader, workers, clock."""
    sent = datetime.now(UTC)
    try:
        cluster = api.get("/cluster")
    except CliError as error:
        behind = isinstance(error, ApiError) and error.kind.startswith("store_")
        check = "store" if behind else "server"
        yield Finding(check, "error", f"{error.what}: {error.why}", error.todo)
        return
    received = datetime.now(UTC)
    yield Finding("server", "ok", f"{clean(api.url)} answers")
    yield _same_version(str(cluster.get("version", "?")))
    leader = cluster.get("leader")
    if leader:
        yield Finding("leader", "ok", f"{clean(leader['pod'])}, epoch {leader['epoch']}")
    else:
        yield Finding("leader", "error", "there is none", "start a pod with the scheduler role")
    yield _store(cluster)
    yield from _format(api)
    workers = list(api.items("/workers", most=500))
    yield _workers(workers)
    yield from _waiting(cluster)
    yield from calendars(api)
    if aged := waits_beside_room(cluster, workers):
        yield Finding("tasks", "error", aged)
    yield _clock(cluster, sent, received)
    if cluster.get("clock_gen"):
        yield Finding(
            "clock jumps",
            "warning",
            f"the store's clock went back {cluster['clock_gen']} times in its life",
            "look at the time service of the store's host",
        )


def _waiting(cluster: dict[str, Any]) -> Iterator[Finding]:
    """What waits for workers, and under limits."""
    for waits in nobody_can_run(cluster):
        todo = "start a worker that has it: labels, plugin, or the --app module; or cancel them"
        yield Finding("tasks", "error", waits, todo)
    for waits in busy_beside_room(cluster):
        todo = "start more workers that have it, or give those a larger worker.max_concurrent_tasks"
        yield Finding("tasks", "warning", waits, todo)
    for waits in waits_under_limits(cluster):
        todo = "`dsched limit get` says who holds its places, `dsched limit set` raises it"
        yield Finding("limits", "warning", waits, todo)


def calendars(api: Api) -> Iterator[Finding]:
    """Configs whose calendars end, or leave nothing, within a month; a finding for each words."""
    records = api.items("/configs", most=_MOST_CONFIGS)
    for words in calendar_words(records, now_ms=time.time_ns() // 1_000_000):
        yield Finding("calendars", "warning", words)


def _same_version(theirs: str) -> Finding:
    ours = metadata.version("dsched-cli")
    if theirs == ours:
        return Finding("version", "ok", f"{ours} here and there")
    return Finding(
        "version", "warning", f"{ours} here, {clean(theirs)} there", "use the server's version"
    )


def _store(cluster: Any) -> Finding:
    if refused := refused_writes(cluster):
        return Finding("store", "error", refused, "do what it says; the pods go on by themselves")
    return Finding("store", "ok", "it takes writes")


def _format(api: Api) -> Iterator[Finding]:
    try:
        found = api.get("/store")
    except ApiError:  # a server of before, or a token that may not read it
        return
    now, newest = found["format"], found["newest"]
    if now == newest:
        yield Finding("format", "ok", f"{now}, the newest")
    else:
        todo = "when all pods run this version: dsched store migrate"
        yield Finding("format", "warning", f"the store has format {now}; {newest} is known", todo)


def _workers(workers: list[Any]) -> Finding:
    able = [one for one in workers if not (is_lost(one) or one.get("draining"))]
    troubled = [clean(one["id"]) for one in workers if one.get("stalled") or is_lost(one)]
    if not able:
        return Finding("workers", "error", "none takes tasks", "start a pod with the worker role")
    if troubled:
        return Finding("workers", "warning", f"stalled or not heard of: {', '.join(troubled[:5])}")
    return Finding("workers", "ok", f"{len(able)} take tasks")


def _clock(cluster: Any, sent: datetime, received: datetime) -> Finding:
    """The store's clock against this machine's, give or take half of the call."""
    store = datetime.fromisoformat(str(cluster["store_time"]))
    middle = sent + (received - sent) / 2
    half_ms = (received - sent).total_seconds() * 500
    off_ms = (store - middle).total_seconds() * 1000
    certain_ms = max(0.0, abs(off_ms) - half_ms)
    word = "ahead" if off_ms > 0 else "behind"
    detail = (
        f"the store is {show_span_ms(abs(off_ms))} {word}, give or take {show_span_ms(half_ms)}"
    )
    if certain_ms > _SKEW_ERROR_MS:
        return Finding("clock", "error", detail, "synchronise both with a time service")
    if certain_ms > _SKEW_WARNING_MS:
        return Finding("clock", "warning", detail, "synchronise both with a time service")
    return Finding("clock", "ok", detail)
