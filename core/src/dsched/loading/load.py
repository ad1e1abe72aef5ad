"""`load_catalogue`: find, filter, import, register, ask, and refuse what cannot be used."""

from collections.abc import Sequence
from importlib import metadata
from typing import Any

import attrs

from dsched.loading.catalogue import Catalogue, Installed, Provider
from dsched.loading.discovery import Found, find, import_plugin, normal
from dsched.loading.faults import Fault, PluginError
from dsched.loading.hooks import KINDS, BadPluginError, Hooks

_ONE = {"pages": "pages"}  # the singular of a kind, if it is not the kind without its s


@attrs.define
class _Collection:
    """The catalogue in the making, with all faults found so far."""

    kinds: dict[str, dict[str, Installed[Any]]] = attrs.field(
        factory=lambda: {kind: {} for kind in KINDS}
    )
    faults: list[Fault] = attrs.field(factory=list)
    disabled_used: set[str] = attrs.field(factory=set)


def load_catalogue(
    *,
    enabled: Sequence[str] = (),
    disabled: Sequence[str] = (),
    extra_plugins: Sequence[object] = (),
    path: Sequence[str] | None = None,
) -> Catalogue:
    """Load every plugin that is installed and allowed.

    ``enabled``, when not empty, is an allow-list of distribution names: nothing else is imported
    at all. ``disabled`` names distributions or entry points, which are then not imported, or
    providers, which are then left out. ``extra_plugins`` are plugin modules or objects given in
    code; both lists leave them alone. ``path`` says where to look for installed distributions
    (default: `sys.path`). Raises `PluginError`, which lists every fault found.
    """
    collection = _Collection()
    hooks = Hooks()
    for number, found in enumerate(_allowed(find(path), enabled, disabled, collection)):
        _load(
            found,
            f"{number}:{found.distribution}",
            hooks=hooks,
            disabled=disabled,
            collection=collection,
        )
    for number, plugin in enumerate(extra_plugins):
        name = f"extra:{number}"
        at = Fault(getattr(plugin, "__name__", repr(plugin)), "(given in code)", "")
        _register(plugin, name, hooks=hooks, disabled=(), collection=collection, at=at)
    if collection.faults:
        raise PluginError(collection.faults)
    unused = sorted(set(disabled) - collection.disabled_used)
    return Catalogue(
        **collection.kinds,
        warnings=tuple(
            f"plugins.disabled names {name!r}, but no installed plugin is called that"
            for name in unused
        ),
    )


def _allowed(
    installed: Sequence[Found],
    enabled: Sequence[str],
    disabled: Sequence[str],
    collection: _Collection,
) -> list[Found]:
    """The plugins that may be imported; a name in the allow-list that is not installed is a
    fault."""
    wanted = {normal(name): name for name in enabled}
    there = {normal(one.distribution) for one in installed}
    for missing in sorted(wanted.keys() - there):
        names = ", ".join(sorted(there)) or "none"
        collection.faults.append(
            Fault(
                wanted[missing],
                _version_of(wanted[missing]),
                f"plugins.enabled names it, but no installed distribution of that name has "
                f"plugins; those that have: {names}",
            )
        )
    allowed = []
    for one in installed:
        hit = [name for name in disabled if name in one.names or normal(name) in one.names]
        collection.disabled_used.update(hit)
        if not hit and (not wanted or normal(one.distribution) in wanted):
            allowed.append(one)
    return allowed


def _version_of(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except (metadata.PackageNotFoundError, ValueError):
        return "(not installed)"


def _load(
    found: Found, name: str, *, hooks: Hooks, disabled: Sequence[str], collection: _Collection
) -> None:
    if found.unfit is not None:  # it is not imported: what it would find is not what it expects
        if found.unfit not in collection.faults:
            collection.faults.append(found.unfit)
        return
    try:
        plugin = import_plugin(found)
    except ImportError as error:
        collection.faults.append(found.fault(str(error)))
        return
    _register(
        plugin,
        f"{name}:{found.entry_point.name}",
        hooks=hooks,
        disabled=disabled,
        collection=collection,
        at=found,
    )


def _register(
    plugin: object,
    name: str,
    *,
    hooks: Hooks,
    disabled: Sequence[str],
    collection: _Collection,
    at: Found | Fault,
) -> None:
    """Register one plugin and take over what it provides, one kind after the other."""
    try:
        hooks.register(plugin, name)
    except BadPluginError as error:
        collection.faults.append(Fault(at.distribution, at.version, str(error)))
        return
    for kind, provider_type in KINDS.items():
        try:
            providers = hooks.ask(name, kind, provider_type)
        except BadPluginError as error:
            collection.faults.append(Fault(at.distribution, at.version, str(error)))
            continue
        for provider in providers:
            if provider.name in disabled:
                collection.disabled_used.add(provider.name)
            else:
                _add(kind, Installed(provider, at.distribution, at.version), collection)


def _add(kind: str, new: Installed[Provider], collection: _Collection) -> None:
    """Built-in names have no privilege: whoever provides a name second is refused."""
    there = collection.kinds[kind]
    name = new.provider.name
    first = there.setdefault(name, new)
    if first is not new:
        collection.faults.append(
            Fault(
                new.distribution,
                new.version,
                f"provides the {_ONE.get(kind, kind[:-1])} {name!r}, which "
                f"{first.distribution} {first.version} "
                f"provides too; uninstall one of them, or switch it off with plugins.disabled",
            )
        )
