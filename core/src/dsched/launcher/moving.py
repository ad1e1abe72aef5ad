"""Backup, restore and copy of the stores that configurations name. No pod is started."""

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from dsched import __version__
from dsched.assembly import store_opener, store_settings_of
from dsched.config import LoadedSettings, read_plugin_settings, read_settings
from dsched.contracts.store.moving import Mover
from dsched.contracts.store.outcomes import StoreRefusedError
from dsched.loading import Catalogue, load_catalogue
from dsched.moving import Copied, MovingError, Restored, Seal, copy_store, settle_restored

BACKUP_STORE = "sqlite"  # a backup is a file of this store, whatever it is a backup of


@attrs.frozen
class Place:
    """A store that a configuration names."""

    loaded: LoadedSettings
    catalogue: Catalogue

    @classmethod
    def of(cls, config: str | None, flags: Mapping[str, object] | None = None) -> "Place":
        """Read a configuration as `dsched-run` does; raises what that raises."""
        given = dict(flags or {})
        allowed = read_plugin_settings(config, os.environ, given)
        catalogue = load_catalogue(enabled=allowed.enabled, disabled=allowed.disabled)
        return cls(read_settings(config, os.environ, given, catalogue), catalogue)

    @property
    def kind(self) -> str:
        """The name of its store."""
        return self.loaded.settings.store

    def mover(self) -> Mover:
        """How it is read and filled."""
        return self._mover(self.kind, self.loaded.stores[self.kind])

    def backup(self, file: str) -> Mover:
        """A backup at this path."""
        if BACKUP_STORE not in self.catalogue.stores:
            raise MovingError(
                f"a backup is a file of the store {BACKUP_STORE}, which is not installed: "
                "pip install dsched-store-sqlite"
            )
        options = self.catalogue.stores[BACKUP_STORE].provider.options
        return self._mover(BACKUP_STORE, options(path=file))

    def _mover(self, kind: str, options: Any) -> Mover:
        one = self.catalogue.stores[kind]
        if one.provider.mover is None:
            raise MovingError(
                f"the store {kind} ({one.distribution} {one.version}) cannot be backed up or moved "
                "by dsched: use its own means"
            )
        return one.provider.mover(options, store_settings_of(self.loaded))


async def backup(place: Place, file: str) -> Copied:
    """Write a backup of a store to a new file, and read it again."""
    _refuse_existing(file)
    seal = Seal(taken_ms=time.time_ns() // 1_000_000, store=place.kind, version=__version__)
    target = place.backup(file)
    try:
        return await copy_store(
            place.mover(), target, settings=store_settings_of(place.loaded), seal=seal
        )
    except MovingError:
        _forget(file)  # it is not what it says
        raise


async def restore(
    place: Place, file: str, *, why: str, run_owed: bool
) -> tuple[Copied, Seal, Restored]:
    """Fill an empty store from a backup, and have it account for the time since."""
    settings = store_settings_of(place.loaded)
    try:
        copied = await copy_store(place.backup(file), place.mover(), settings=settings, sealed=True)
    except StoreRefusedError as error:
        told = await _told_apart(place, file)
        raise MovingError(f"{error}{told}") from error
    if copied.seal is None:
        raise MovingError(f"{file} is no backup")
    async with store_opener(place.loaded, place.catalogue)() as store:
        settled = await settle_restored(
            store, taken_ms=copied.seal.taken_ms, why=why, run_owed=run_owed
        )
    return copied, copied.seal, settled


async def copy(source: Place, target: Place) -> Copied:
    """Move everything to another, empty store; the old one stays as it is."""
    return await copy_store(
        source.mover(), target.mover(), settings=store_settings_of(source.loaded)
    )


async def _told_apart(place: Place, file: str) -> str:
    """How the store that is there and the backup stand to each other, as far as it can be told."""
    if place.catalogue.stores[place.kind].provider.absent(place.loaded.stores[place.kind]):
        return ""
    try:
        async with place.backup(file).reading() as source:
            backed_up = await source.head()
        async with store_opener(place.loaded, place.catalogue)() as store:
            there = await store.history(backed_up.end)
    except StoreRefusedError:
        return ""
    if there.identity != backed_up.identity:
        return ". The backup is of another store than the one that is there"
    if there.end is None or backed_up.end is None:
        return ". The backup is of this very store"
    behind_s = (there.end.at_ms - backed_up.end.at_ms) / 1000
    if behind_s > 0:
        return (
            f". The backup is of this very store, and {behind_s:,.0f} s older than it: what "
            "happened since would be lost"
        )
    return ". The backup is of this very store, and as new as it"


def _forget(file: str) -> None:
    Path(file).unlink(missing_ok=True)


def _refuse_existing(file: str) -> None:
    if Path(file).exists():
        raise MovingError(f"{file} is there already: name a new file; a backup never replaces one")
