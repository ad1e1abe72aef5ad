"""`read_settings`: all sources, checked against the core's classes and the installed plugins'."""

import os
import socket
import stat
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import attrs

from dsched.config.problems import ConfigError, Place
from dsched.config.settings import PluginSettings, PodSettings, Settings
from dsched.config.shape import Shape
from dsched.config.sources import COMMAND_LINE, ENVIRONMENT, Origin, Sources, gather
from dsched.config.structuring import (
    FlawedError,
    fields_of,
    structure,
    unknown_keys,
)
from dsched.contracts.executor.withheld import WITHHELD, named_in
from dsched.loading import Catalogue, Installed
from dsched.loading.remedy import installed
from dsched.model.ids import MAX_ID_LENGTH
from dsched.wording import MAX_PROBLEMS, did_you_mean

POD_NAME = "POD_NAME"


@attrs.frozen(kw_only=True)
class LoadedSettings:
    """Settings that hold together, each plugin's options by name, and where each value is from.

    A store or balancer that is neither chosen nor configured has options only if all of them have
    defaults. ``warnings`` are sentences for the log.
    """

    settings: Settings
    executors: Mapping[str, Any] = attrs.field(repr=False)
    balancers: Mapping[str, Any] = attrs.field(repr=False)
    stores: Mapping[str, Any] = attrs.field(repr=False)
    observers: Mapping[str, Any] = attrs.field(repr=False)
    services: Mapping[str, Any] = attrs.field(repr=False)
    warnings: tuple[str, ...] = ()
    file: str | None = None
    origins: Mapping[Place, Origin] = attrs.field(factory=dict, repr=False)

    def origin(self, *place: str) -> str:
        """Where a value was set: ``default``, ``file:line``, ``env NAME`` or ``flag --name``."""
        found = self.origins.get(place)
        return "default" if found is None else found.text


def read_plugin_settings(
    path: str | None,
    env: Mapping[str, str],
    flags: Mapping[str, object],
    *,
    flags_of: str = COMMAND_LINE,
) -> PluginSettings:
    """Which plugins may be loaded: the part that must be known before there is a catalogue.

    Raises `ConfigError` if this part or the file as a whole cannot be read, then with every problem
    that can be seen without the plugins.
    """
    sources = gather(path, env, flags, Shape(_core_branches()), flags_of=flags_of)
    # Without the plugins it is not known which variables are theirs.
    sources.problems = [one for one in sources.problems if one.file != ENVIRONMENT]
    try:
        return structure(PluginSettings, sources.raw.get("plugins") or {})
    except FlawedError as error:
        _structure_core(sources)
        raise ConfigError(sources.problems) from error


def read_settings(
    path: str | None,
    env: Mapping[str, str],
    flags: Mapping[str, object],
    catalogue: Catalogue,
    *,
    flags_of: str = COMMAND_LINE,
) -> LoadedSettings:
    """Read file, environment and flags, each overriding the one before it.

    ``flags`` maps keys (``store``, ``schedule.balancer``) to values; None means not given;
    ``flags_of`` says who gives them. Raises `ConfigError`, which lists every problem found.
    Variables that are named as secrets are `WITHHELD` from then on.
    """
    sources = gather(path, env, flags, _shape(catalogue), flags_of=flags_of)
    _check_sections(sources, catalogue)
    _check_names(sources, catalogue)
    settings = _structure_core(sources)
    options = _Options(sources, catalogue)
    _check_choices(sources, catalogue)
    filled = {kind: options.of_kind(kind) for kind in ("stores", "observers", "services")}
    filled |= {kind: options.below(kind) for kind in ("executors", "balancers")}
    if settings is not None:
        settings = _with_pod_name(settings, env, sources)
    if sources.problems or settings is None:
        raise ConfigError(sources.problems)
    WITHHELD.add(named_in(sources.raw))
    sections = {name: sources.raw[name] for name in catalogue.sections if name in sources.raw}
    return LoadedSettings(
        settings=attrs.evolve(settings, sections=sections),
        warnings=(*_warnings(sources, path), *_unused_stores(sources, settings, catalogue)),
        file=path,
        origins=MappingProxyType(sources.origins),
        **filled,
    )


def _core_branches() -> dict[str, Any]:
    fields = fields_of(Settings)
    return {name: field.type for name, field in fields.items() if name != "sections"}


def _shape(catalogue: Catalogue) -> Shape:
    below = {
        kind: Shape({name: one.provider.options for name, one in plugins.items()})
        for kind, plugins in (
            ("executors", catalogue.executors),
            ("balancers", catalogue.balancers),
        )
    }
    sections = {
        name: tuple(one.provider.options for one in plugins)
        for name, plugins in catalogue.sections.items()
    }
    return Shape({**sections, **_core_branches(), **below})


def _structure_core(sources: Sources) -> Settings | None:
    core = _core_branches()
    raw = {key: value for key, value in sources.raw.items() if key in core}
    # `worker:` with everything below it commented out is an empty section, not a wrong one.
    given = {key: {} if value is None and key != "store" else value for key, value in raw.items()}
    try:
        return structure(Settings, given)
    except FlawedError as error:
        for flaw in error.flaws:
            sources.add_problem(flaw.place, flaw.reason)
        return None


def _check_sections(sources: Sources, catalogue: Catalogue) -> None:
    """Top-level keys, and the keys in the sections of plugins, must be known."""
    known = sources.shape.branches
    unknown = [key for key in sources.raw if key not in known]
    for key in unknown[:MAX_PROBLEMS]:
        sources.add_problem(
            (key,),
            "is neither a section of dsched nor of an installed plugin; "
            f"{did_you_mean(str(key), known)}",
        )
    for name, sharing in catalogue.sections.items():
        section = sources.raw.get(name)
        keys = {key for one in sharing for key in fields_of(one.provider.options)}
        for flaw in unknown_keys(section, keys) if isinstance(section, dict) else ():
            sources.add_problem((name, *flaw.place), flaw.reason)


def _check_names(sources: Sources, catalogue: Catalogue) -> None:
    """Every name below ``executors`` and ``balancers`` must be installed."""
    for kind, plugins in (("executors", catalogue.executors), ("balancers", catalogue.balancers)):
        section = sources.raw.get(kind)
        if section is None:
            continue
        if not isinstance(section, dict):
            sources.add_problem((kind,), "must be a mapping of names to their options")
            continue
        unknown = [name for name in section if name not in plugins]
        for name in unknown[:MAX_PROBLEMS]:
            sources.add_problem((kind, name), _not_installed(kind[:-1], name, plugins))


def _not_installed(kind: str, name: object, plugins: Mapping[str, Any]) -> str:
    return f"no installed {kind} is called {str(name)!r}; installed: {installed(plugins)}"


def _check_choices(sources: Sources, catalogue: Catalogue) -> None:
    """The store and the balancer that are chosen must be installed."""
    store, balancer = _chosen(sources)
    if store is not None and store not in catalogue.stores:
        sources.add_problem(("store",), _not_installed("store", store, catalogue.stores))
    if balancer is not None and balancer not in catalogue.balancers:
        sources.add_problem(
            ("schedule", "balancer"), _not_installed("balancer", balancer, catalogue.balancers)
        )


def _chosen(sources: Sources) -> tuple[str | None, str | None]:
    """The names of store and balancer; None if what was given is no name."""
    defaults = Settings()
    store = sources.raw.get("store", defaults.store)
    schedule = sources.raw.get("schedule") or {}
    balancer = defaults.schedule.balancer
    if isinstance(schedule, dict):
        balancer = schedule.get("balancer", balancer)
    return (
        store if isinstance(store, str) and store else None,
        balancer if isinstance(balancer, str) and balancer else None,
    )


class _Options:
    """Fills the options classes of the installed plugins."""

    def __init__(self, sources: Sources, catalogue: Catalogue) -> None:
        self._sources = sources
        self._catalogue = catalogue
        self._reported: set[tuple[Place, str]] = set()
        self._store, self._balancer = _chosen(sources)

    def of_kind(self, kind: str) -> Mapping[str, Any]:
        """Options of stores, observers or services, from the section named like the plugin."""
        plugins: Mapping[str, Installed[Any]] = getattr(self._catalogue, kind)
        filled: dict[str, Any] = {}
        for name, one in plugins.items():
            needed = kind != "stores" or name == self._store or name in self._sources.raw
            raw = self._sources.raw.get(name)
            if isinstance(raw, dict):  # unknown keys of the section are reported already
                own = fields_of(one.provider.options)
                raw = {key: value for key, value in raw.items() if key in own}
            self._fill(
                filled, name, options=one.provider.options, raw=raw, place=(name,), needed=needed
            )
        return MappingProxyType(filled)

    def below(self, kind: str) -> Mapping[str, Any]:
        """Options of executors or balancers, from ``<kind>.<name>``."""
        plugins: Mapping[str, Installed[Any]] = getattr(self._catalogue, kind)
        section = self._sources.raw.get(kind)
        given = section if isinstance(section, dict) else {}
        filled: dict[str, Any] = {}
        for name, one in plugins.items():
            needed = kind == "executors" or name == self._balancer or name in given
            place = (kind, name)
            self._fill(
                filled,
                name,
                options=one.provider.options,
                raw=given.get(name),
                place=place,
                needed=needed,
            )
        return MappingProxyType(filled)

    def _fill(
        self,
        filled: dict[str, Any],
        name: str,
        *,
        options: type[Any],
        raw: Any,
        place: Place,
        needed: bool,
    ) -> None:
        """Structure one plugin's options, reporting a flaw of a shared section once."""
        try:
            filled[name] = structure(options, {} if raw is None else raw)
        except FlawedError as error:
            for flaw in error.flaws if needed else ():
                at = (*place, *flaw.place)
                if (at, flaw.reason) not in self._reported:
                    self._reported.add((at, flaw.reason))
                    self._sources.add_problem(at, flaw.reason)


def _with_pod_name(settings: Settings, env: Mapping[str, str], sources: Sources) -> Settings:
    """A pod is called what the settings say, else ``$POD_NAME``, else as its host."""
    if settings.pod.name:
        return settings
    name = env.get(POD_NAME, "")
    origin = Origin(ENVIRONMENT, POD_NAME, f"env {POD_NAME}")
    if not name:
        name, origin = pod_name_of(socket.gethostname()), Origin("", "", "host name")
    sources.origins[("pod", "name")] = origin
    try:
        pod = structure(PodSettings, attrs.asdict(settings.pod) | {"name": name})
        return attrs.evolve(settings, pod=pod)
    except FlawedError as error:
        for flaw in error.flaws:
            sources.add_problem(("pod", "name"), flaw.reason)
        return settings


def pod_name_of(host: str) -> str:
    """A host's name as a valid id."""
    kept = "".join(char if char.isascii() and char.isalnum() else "-" for char in host)
    return kept.strip("-")[:MAX_ID_LENGTH] or "pod"


def _unused_stores(sources: Sources, settings: Settings, catalogue: Catalogue) -> tuple[str, ...]:
    """Warn of a store that is configured but not chosen: its author believes that it is used."""
    if "store" in sources.raw:
        return ()
    return tuple(
        f"the section {name} is not used: store is not set, so it is {settings.store}. Set "
        f"`store: {name}` to use it, or `store: {settings.store}` if that is meant"
        for name in catalogue.stores
        if name != settings.store and sources.raw.get(name)
    )


def _warnings(sources: Sources, path: str | None) -> tuple[str, ...]:
    """Plain secrets belong in files that only their owner can read."""
    if path is None or not sources.plain_secrets or os.name != "posix":
        return ()
    try:
        mode = stat.S_IMODE(os.stat(path).st_mode)
    except FileNotFoundError:  # it was there a moment ago; nobody reads it now
        return ()
    if not mode & 0o077:
        return ()
    keys: Sequence[str] = sources.plain_secrets
    warning = (
        f"{path} holds secrets ({', '.join(keys)}) and can be read by others (mode {mode:04o}); "
        f"run chmod 600 on it, or keep the secret in a file named by {keys[0]}_file"
    )
    return (warning,)
