"""`dsched store backup|restore|copy`: they open the stores themselves, and ask no server."""

from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import click

from dsched_cli.cleaning import clean
from dsched_cli.errors import CliError, ExitCode
from dsched_cli.output import say
from dsched_cli.session import confirm, reason_option, yes_option

R = TypeVar("R")

config_option = click.option(
    "--config",
    "config_file",
    metavar="FILE",
    help="The configuration of a pod, which names the store.  [default: the embedded store here]",
)


@click.command()
@click.argument("file")
@config_option
def backup(file: str, config_file: str | None) -> None:
    """Write a backup of the store to a new file, and check it.

    An SQLite store may be in use; of Redis all pods have to be stopped. The backup holds tokens and
    payloads: keep it as you keep the store.
    """
    from dsched.launcher import moving

    copied = _done(lambda: moving.backup(moving.Place.of(config_file), file), "no backup was made")
    say(f"wrote {clean(file)} and compared it: {_counted(copied.counts)}")


@click.command()
@click.argument("file")
@config_option
@click.option(
    "--owed",
    type=click.Choice(["skip", "run"]),
    default="skip",
    show_default=True,
    help="What becomes of instants since the backup: they may have fired in what is lost.",
)
@reason_option(required=True)
@yes_option
def restore(file: str, config_file: str | None, *, owed: str, reason: str, yes: bool) -> None:
    """Fill an empty store from a backup, before the first pod starts on it.

    What happened since the backup is forgotten. Instants since then are recorded as skipped, lest
    anything fires twice; `dsched config backfill` makes up for some of them, `--owed run` for all
    that `misfire` allows. Tasks that waited or ran then are run.
    """
    from dsched.launcher import moving

    place = _done_at_once(lambda: moving.Place.of(config_file), "nothing was restored")
    confirm(f"Restore {clean(file)} into the store {place.kind}?", yes=yes)
    copied, seal, settled = _done(
        lambda: moving.restore(place, file, why=reason, run_owed=owed == "run"),
        "nothing was restored",
    )
    say(f"restored the backup of {_instant(seal.taken_ms)}: {_counted(copied.counts)}")
    if settled.skipped:
        named = ", ".join(settled.skipped[:10]) + (", ..." if len(settled.skipped) > 10 else "")
        say(f"instants since then are skipped of {len(settled.skipped)} configs: {clean(named)}")


@click.command()
@config_option
@click.option(
    "--to",
    "target",
    metavar="FILE",
    required=True,
    help="A configuration that names the other store, which has to be empty.",
)
@yes_option
def copy(config_file: str | None, target: str, *, yes: bool) -> None:
    """Copy everything to another, empty store, of any kind, and compare.

    Stop all pods first, copy, and start them with the other configuration. Nothing is lost or fired
    twice, as long as no pod ever runs on the old store again.
    """
    from dsched.launcher import moving

    def places() -> tuple[moving.Place, moving.Place]:
        return moving.Place.of(config_file), moving.Place.of(target)

    source, other = _done_at_once(places, "nothing was copied")
    confirm(f"Copy the store {source.kind} to {other.kind} of {clean(target)}?", yes=yes)
    copied = _done(lambda: moving.copy(source, other), "nothing was copied")
    say(f"copied and compared: {_counted(copied.counts)}")
    say("start the pods with the other configuration, and never again on the old store")


def _done(act: Callable[[], Coroutine[Any, Any, R]], what: str) -> R:
    import asyncio

    with _refusals(what):
        return asyncio.run(act())


def _done_at_once(act: Callable[[], R], what: str) -> R:
    with _refusals(what):
        return act()


@contextmanager
def _refusals(what: str) -> Iterator[None]:
    from dsched.config import ConfigError
    from dsched.contracts.store.outcomes import StoreRefusedError, StoreUnavailableError
    from dsched.loading import PluginError
    from dsched.moving import MovingError

    try:
        yield
    except (ConfigError, PluginError) as error:
        raise CliError(what, why=str(error), code=ExitCode.USAGE) from error
    except (MovingError, StoreRefusedError) as error:
        raise CliError(what, why=str(error), code=ExitCode.CONFLICT) from error
    except StoreUnavailableError as error:
        raise CliError(what, why=str(error), code=ExitCode.UNREACHABLE) from error


def _counted(counts: Mapping[str, int]) -> str:
    found = [f"{number:,} {kind}" for kind, number in counts.items() if number]
    return ", ".join(found) or "an empty store"


def _instant(ms: int) -> str:
    from dsched.model import from_ms

    return from_ms(ms).isoformat(timespec="seconds")
