"""`dsched-run`: reads the configuration, opens the plugins, runs a pod until told to stop."""

import asyncio
import gc
import importlib
import logging
import os
import sys
from collections.abc import Sequence

from dsched.assembly import all_roles, no_executor, open_pod
from dsched.client import Client, RefusedError
from dsched.config import (
    ConfigError,
    LoadedSettings,
    Problem,
    print_config,
    read_plugin_settings,
    read_settings,
)
from dsched.config.scheduled import code_sources
from dsched.config.task_file import read_task_file
from dsched.contracts.store import Store
from dsched.contracts.store.outcomes import StoreRefusedError, StoreUnavailableError
from dsched.declaring import Source
from dsched.engine.pod import SCHEDULER, WORKER
from dsched.engine.runtime import Runtime
from dsched.engine.takeover import take_over_from_dead
from dsched.functions.schedules import SCHEDULES
from dsched.launcher.arguments import Arguments, parse
from dsched.launcher.check import check, task_warnings
from dsched.launcher.event_loop import run_on
from dsched.launcher.limits import FileSource, limits_of_two
from dsched.launcher.logs import configure
from dsched.launcher.migrating import migrate
from dsched.launcher.notifying import Notifier
from dsched.launcher.putting import put_and_keep
from dsched.launcher.signals import FAILED, Signals
from dsched.launcher.worker_processes import WorkerProcesses
from dsched.loading import Catalogue, PluginError, load_catalogue
from dsched.model import file_origin

log = logging.getLogger("dsched.run")

OK, BAD_CONFIG, BAD_PLUGIN, BAD_STORE = 0, 2, 3, 4
# What is loaded at the start stays, and collecting garbage among it takes a tenth of the start.
# Collect now and then all the same, because a pod may wait long for its store.
COLLECT_WHILE_LOADING = 50_000
# Nearly all that a task leaves is freed as soon as nothing points to it. With Python's own
# threshold the collector walks over live objects at each 700th new one, a twentieth of a busy
# pod's time.
COLLECT_WHILE_RUNNING = (10_000, 10, 10)


def main(argv: Sequence[str] | None = None) -> int:
    """The console script; its answer is the exit code."""
    arguments = parse(argv)
    try:
        return _run(arguments)
    except ConfigError as error:
        return _refuse(BAD_CONFIG, error)
    except PluginError as error:
        return _refuse(BAD_PLUGIN, error)
    except (StoreRefusedError, StoreUnavailableError, RefusedError) as error:
        return _refuse(BAD_STORE, f"the store: {error}")


def _refuse(code: int, why: object) -> int:
    print(f"dsched-run: {why}", file=sys.stderr)  # noqa: T201 - this is the command's output
    return code


def _run(arguments: Arguments) -> int:
    gc.set_threshold(COLLECT_WHILE_LOADING)
    allowed = read_plugin_settings(arguments.config, os.environ, arguments.flags)
    catalogue = load_catalogue(enabled=allowed.enabled, disabled=allowed.disabled)
    _import_app(arguments.app)
    if arguments.app and "local" in catalogue.executors:
        arguments.flags["executors.local.app"] = list(arguments.app)
    loaded = read_settings(arguments.config, os.environ, arguments.flags, catalogue)
    if arguments.print_config:
        print(print_config(loaded))  # noqa: T201 - this is the command's output
        return OK
    roles = _roles(arguments, catalogue)
    sources = _sources(arguments, loaded, catalogue)
    if arguments.check:
        for line in asyncio.run(check(loaded, catalogue, sources)):
            print(line)  # noqa: T201 - this is the command's output
        return OK
    if arguments.migrate:
        print(asyncio.run(migrate(loaded, catalogue, dry_run=arguments.dry_run)))  # noqa: T201
        return OK
    configure(loaded.settings.log.format, loaded.settings.log.level)
    for warning in (*catalogue.warnings, *loaded.warnings, *task_warnings(sources)):
        log.warning("%s", warning)
    serving = _serve(arguments, loaded, catalogue=catalogue, roles=roles, sources=sources)
    return run_on(loaded.settings.pod.event_loop, serving)


def _import_app(modules: Sequence[str]) -> None:
    """Import the user's modules, as found from the current folder, so that functions register."""
    if modules and "" not in sys.path and os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    problems = []
    for module in modules:
        try:
            importlib.import_module(module)
        except Exception as error:  # noqa: BLE001 - user code may raise anything on import
            reason = f"cannot be imported: {type(error).__name__}: {error}"
            problems.append(Problem("--app", module, reason))
    if problems:
        raise ConfigError(problems)


def _roles(arguments: Arguments, catalogue: Catalogue) -> frozenset[str]:
    known = all_roles(catalogue)
    chosen = known if arguments.roles is None else arguments.roles
    unknown = sorted(chosen - known)
    if unknown:
        reason = f"unknown; there are {', '.join(sorted(known))}"
        raise ConfigError([Problem("--role", role, reason) for role in unknown])
    if missing := no_executor(chosen, catalogue):
        raise ConfigError([Problem("plugins", "executors", missing)])
    return chosen


def _sources(arguments: Arguments, loaded: LoadedSettings, catalogue: Catalogue) -> list[Source]:
    """What the task files and the code of the apps declare; one report for all their problems."""
    problems: list[Problem] = []
    sources: list[Source] = []
    try:
        sources += code_sources(
            SCHEDULES, apps=arguments.app, settings=loaded.settings, catalogue=catalogue
        )
    except ConfigError as error:
        problems.extend(error.problems)
    declared = {task.id: source.origin for source in sources for task in source.configs}
    for file in arguments.tasks:
        try:
            read = read_task_file(file, defaults=loaded.settings.task, catalogue=catalogue)
        except ConfigError as error:
            problems.extend(error.problems)
            continue
        for task in read.configs:
            if task.id in declared:
                reason = f"is the id of a task of {declared[task.id]} too"
                problems.append(Problem(file, task.id, reason))
            declared[task.id] = task.origin
        sources.append(
            FileSource(
                origin=file_origin(file),
                configs=read.configs,
                orphans=False,
                limits=read.limits,
                document=read.document,
            )
        )
    problems += limits_of_two(sources)
    if problems:
        raise ConfigError(problems)
    return sources


async def _serve(
    arguments: Arguments,
    loaded: LoadedSettings,
    *,
    catalogue: Catalogue,
    roles: frozenset[str],
    sources: Sequence[Source],
) -> int:
    """Open everything, put what is declared, and run until stopped."""
    signals = Signals(loaded.settings.worker.drain_timeout.total_seconds())
    name = loaded.settings.pod.name
    log.info("pod %s starts: %s on %s", name, ", ".join(sorted(roles)), loaded.settings.store)
    if arguments.run_for is not None:
        signals.stop_after(arguments.run_for.total_seconds())
    return_code = OK
    with signals:
        try:
            await _run_pod(
                arguments,
                loaded,
                catalogue=catalogue,
                roles=roles,
                sources=sources,
                signals=signals,
            )
        except* (StoreRefusedError, StoreUnavailableError) as errors:
            why = f"the store: {_first(errors)}"
            return_code = OK if signals.stopped else _refuse(BAD_STORE, why)
        except* PluginError as errors:
            return_code = _refuse(BAD_PLUGIN, _first(errors))
        except* asyncio.CancelledError:
            if not signals.stopped:
                raise
        except* Exception as errors:
            cause = _first(errors)
            log.error("a part failed for good: %s", cause, exc_info=cause)
            return_code = FAILED
        else:
            log.info("pod %s has stopped", name)
    return return_code


async def _run_pod(
    arguments: Arguments,
    loaded: LoadedSettings,
    *,
    catalogue: Catalogue,
    roles: frozenset[str],
    sources: Sequence[Source],
    signals: Signals,
) -> None:
    notifier = Notifier.of(os.environ)  # before there are worker processes
    notifier.waiting()
    apart = loaded.settings.worker.processes > 1 and WORKER in roles
    if apart:
        roles -= {WORKER}
    wait, new = arguments.wait, arguments.new_cluster
    async with open_pod(loaded, catalogue, roles=roles, wait=wait, new_cluster=new) as pod:
        family = _family(arguments, loaded, pod.store) if apart else None
        signals.follow(pod, notifier, *([family] if family is not None else []))
        keep_what_is_loaded()
        async with asyncio.TaskGroup() as group:
            client = Client(pod.store, by=loaded.settings.pod.name)
            putting = group.create_task(
                put_and_keep(
                    client,
                    sources,
                    adopt=arguments.adopt,
                    runtime=Runtime(),
                    hint=SCHEDULER in roles,
                ),
                name="tasks",
            )
            if family is not None:
                group.create_task(family.run(), name="worker processes")
            telling = group.create_task(notifier.run(pod.status, Runtime()), name="systemd")
            await pod.run()
            putting.cancel()
            telling.cancel()


def _family(arguments: Arguments, loaded: LoadedSettings, store: Store) -> WorkerProcesses:
    """The worker processes of a pod, whose deaths it tells the store."""
    worker = loaded.settings.worker
    return WorkerProcesses(
        arguments,
        worker.processes,
        worker_id=worker.id,
        drain_s=worker.drain_timeout.total_seconds(),
        pod=loaded.settings.pod.name,
        bury=lambda worker_id: take_over_from_dead(store, worker_id, Runtime()),
    )


def keep_what_is_loaded() -> None:
    """Exclude what has been loaded by now from garbage collection: to walk over all of it takes
    40 ms, in which no task starts."""
    gc.freeze()
    if gc.get_threshold()[0] == COLLECT_WHILE_LOADING:  # the application may have set its own
        gc.set_threshold(*COLLECT_WHILE_RUNNING)


def _first(errors: BaseException) -> BaseException:
    while isinstance(errors, BaseExceptionGroup):
        errors = errors.exceptions[0]
    return errors


if __name__ == "__main__":
    sys.exit(main())
