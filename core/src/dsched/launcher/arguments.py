"""The command line of `dsched-run`."""

import argparse
from collections.abc import Sequence
from datetime import timedelta

import attrs

from dsched import __version__
from dsched.config import InvalidDurationError, parse_duration


@attrs.frozen(kw_only=True)
class Arguments:
    """What was asked for. ``flags`` override configuration keys."""

    config: str | None
    tasks: tuple[str, ...]
    app: tuple[str, ...]
    roles: frozenset[str] | None
    run_for: timedelta | None
    check: bool
    print_config: bool
    migrate: bool
    dry_run: bool
    wait: bool
    new_cluster: bool
    adopt: bool
    flags: dict[str, object]


def parse(argv: Sequence[str] | None = None) -> Arguments:
    """Read the command line; usage errors exit with 2, as argparse does."""
    parser = _parser()
    found = parser.parse_args(argv)
    if found.dry_run and not found.migrate:
        parser.error("--dry-run goes with --migrate")
    flags: dict[str, object] = {
        "store": found.store,
        "schedule.balancer": found.balancer,
        "log.format": found.log_format,
        "log.level": found.log_level,
    }
    return Arguments(
        config=found.config,
        tasks=tuple(found.tasks),
        app=tuple(found.app),
        roles=None if found.role is None else frozenset(found.role),
        run_for=found.run_for,
        check=found.check,
        print_config=found.print_config,
        migrate=found.migrate,
        dry_run=found.dry_run,
        wait=not found.no_wait,
        new_cluster=found.new_cluster,
        adopt=found.adopt,
        flags={key: value for key, value in flags.items() if value is not None},
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="dsched-run",
        description="Start a dsched pod. Without any option it runs every installed role on the "
        "embedded store, dsched.db in this folder.",
        epilog="Exit codes: 0 stopped cleanly, 1 a part failed for good, 2 bad usage or config, "
        "3 a plugin could not load, 4 the store refused or (with --no-wait) did not answer.",
    )
    add = parser.add_argument
    add("--config", metavar="FILE", help="configuration, YAML")
    add("--tasks", metavar="FILE", action="append", default=[], help="task file to put; repeatable")
    add("--adopt", action="store_true", help="take over configs that another origin declares")
    add(
        "--app",
        metavar="MODULE",
        action="append",
        default=[],
        help="module whose @dsched.task functions may run; repeatable",
    )
    add(
        "--role",
        metavar="ROLES",
        action="extend",
        type=_roles,
        help="scheduler,worker,... (default: all); repeatable",
    )
    add("--store", metavar="NAME", help="sqlite, redis, or any installed store")
    add("--balancer", metavar="NAME", help="least-tasks, round-robin, consistent-hash, ...")
    add("--for", dest="run_for", metavar="20s", type=_span, help="stop by itself after this time")
    add("--check", action="store_true", help="check config, tasks, plugins and store, then exit")
    add("--print-config", action="store_true", help="show each setting and where it came from")
    add("--migrate", action="store_true", help="give the store the newest format, then exit")
    add("--dry-run", action="store_true", help="with --migrate: only say what would be done")
    add("--no-wait", action="store_true", help="exit with 4 if the store does not answer at start")
    add("--new-cluster", action="store_true", help="the named cluster begins with an empty store")
    add("--log-format", choices=("console", "json"), help="plain words or JSON lines")
    add("--log-level", choices=("debug", "info", "warning", "error"), help="least level shown")
    add("--version", action="version", version=f"dsched {__version__}")
    return parser


def _roles(text: str) -> frozenset[str]:
    roles = frozenset(part.strip() for part in text.split(",") if part.strip())
    if not roles:
        raise argparse.ArgumentTypeError("name at least one role, such as scheduler,worker")
    return roles


def _span(text: str) -> timedelta:
    try:
        return parse_duration(text)
    except InvalidDurationError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
