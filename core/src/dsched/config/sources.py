"""Where settings come from: defaults, a file, the environment, flags; later ones win."""

import os
import re
from collections.abc import Mapping
from typing import Any

import attrs

from dsched.config.problems import Place, Problem, path_text
from dsched.config.secrets import carries_password, may_come_from_file
from dsched.config.shape import (
    PREFIX,
    SEPARATOR,
    Shape,
    field_at,
    near_variable,
    place_of,
    read_text,
    secret_at,
    type_at,
)
from dsched.config.yaml_reader import Document, read_yaml

ENVIRONMENT, COMMAND_LINE = "environment", "command line"
PROGRAM = "settings of the program"  # a mapping that a program hands over instead of a file
MAX_SECRET_BYTES = 64 * 1024

# Variables for the `dsched` command and the clients of the API: a shell that sets them may start a
# pod too.
CLIENT_VARIABLES = frozenset(
    {
        "DSCHED_URL",
        "DSCHED_TOKEN",
        "DSCHED_TOKEN_FILE",
        "DSCHED_PROFILE",
        "DSCHED_PROFILES",
        "DSCHED_TZ",
    }
)
# Variables that Kubernetes sets in every container for a Service called dsched or dsched-something.
_SERVICE_LINK = re.compile(
    r"DSCHED_(?:[A-Z0-9]+_)*(?:SERVICE_HOST|SERVICE_PORT(?:_.*)?|PORT(?:_.*)?)"
)


@attrs.frozen
class Origin:
    """Where a value was set: ``file`` and ``key`` for problems, ``text`` for people."""

    file: str
    key: str
    text: str
    line: int | None = None


@attrs.define
class Sources:
    """The merged raw settings, the origin of each value, and what is wrong so far."""

    shape: Shape
    file: str = ""
    raw: dict[str, Any] = attrs.field(factory=dict)
    origins: dict[Place, Origin] = attrs.field(factory=dict)
    problems: list[Problem] = attrs.field(factory=list)
    plain_secrets: list[str] = attrs.field(factory=list)

    def origin_of(self, place: Place) -> Origin | None:
        """Where the value at a place, the nearest above it, or the first below it, was set."""
        for length in range(len(place), 0, -1):
            if place[:length] in self.origins:
                return self.origins[place[:length]]
        below = (one for known, one in self.origins.items() if known[: len(place)] == place)
        return next(below, None) if place else None

    def set(self, place: Place, value: Any, origin: Origin) -> None:
        """Set a value over what earlier sources said; mappings are merged key by key."""
        if isinstance(value, Mapping):
            self._mapping_at(place)
            self.origins.setdefault(place, origin)
            for key, item in value.items():
                self.set((*place, key), item, origin)
            return
        self._mapping_at(place[:-1])[place[-1]] = value
        for known in [one for one in self.origins if one[: len(place)] == place]:
            del self.origins[known]
        self.origins[place] = origin

    def _mapping_at(self, place: Place) -> dict[Any, Any]:
        here: dict[Any, Any] = self.raw
        for part in place:
            deeper = here.get(part)
            if not isinstance(deeper, dict):
                deeper = here[part] = {}
            here = deeper
        return here

    def add_problem(self, place: Place, reason: str) -> None:
        """Something wrong at a place: reported against the source that set it."""
        origin = self.origin_of(place)
        if origin is None:
            self.problems.append(Problem(self.file or "defaults", path_text(place), reason))
        elif origin.file in (ENVIRONMENT, COMMAND_LINE):
            self.problems.append(Problem(origin.file, origin.key, reason))
        else:
            self.problems.append(Problem(origin.file, path_text(place), reason, origin.line))


def gather(
    path: str | None,
    env: Mapping[str, str],
    flags: Mapping[str, object],
    shape: Shape,
    *,
    flags_of: str = COMMAND_LINE,
) -> Sources:
    """Read all sources in the order of their weight. Raises `ConfigError` for an unreadable file.

    ``flags`` maps a key (``schedule.balancer``) to a value; None means not given. ``flags_of`` says
    who gives them: the command line, or a `PROGRAM`.
    """
    sources = Sources(shape, file=path or "")
    if path is not None:
        _add_file(sources, read_yaml(path))
    for name in sorted(env):
        ours = name.startswith(PREFIX) and name not in CLIENT_VARIABLES
        if ours and not _SERVICE_LINK.fullmatch(name):
            _add_variable(sources, name, env[name])
    for key, value in flags.items():
        if value is not None:
            place, origin = tuple(key.split(".")), _origin(key, flags_of)
            if not _add_from_file(sources, place, value=value, origin=origin, base="", siblings={}):
                sources.set(place, value, origin)
    return sources


def _origin(key: str, flags_of: str) -> Origin:
    if flags_of != COMMAND_LINE:
        return Origin(flags_of, key, flags_of)
    flag = "--" + key.rpartition(".")[2].replace("_", "-")
    return Origin(flags_of, flag, f"flag {flag}")


def _add_file(sources: Sources, document: Document) -> None:
    sources.problems.extend(document.problems)
    if document.data is None:
        return
    if not isinstance(document.data, dict):
        sources.problems.append(
            document.problem((), "must be a mapping of sections (`store: sqlite`)")
        )
        return
    base = os.path.dirname(document.file)
    _add_tree(sources, document, place=(), tree=document.data, base=base)


def _add_tree(
    sources: Sources, document: Document, *, place: Place, tree: Mapping[Any, Any], base: str
) -> None:
    """Add a mapping of a file leaf by leaf, so that each leaf knows its line."""
    for key, value in tree.items():
        here = (*place, key)
        line = document.line_of(here)
        text = document.file if line is None else f"{document.file}:{line}"
        origin = Origin(document.file, path_text(here), text, line)
        if isinstance(value, dict) and value:
            sources.set(here, {}, origin)
            _add_tree(sources, document, place=here, tree=value, base=base)
            continue
        if _add_from_file(sources, here, value=value, origin=origin, base=base, siblings=tree):
            continue
        secret = secret_at(sources.shape, here)
        if isinstance(value, str) and value and (secret or carries_password(value)):
            sources.plain_secrets.append(path_text(here))
        sources.set(here, value, origin)


def _add_variable(sources: Sources, name: str, text: str) -> None:
    """``DSCHED_REDIS__POOL_SIZE=20`` sets ``redis.pool_size``."""
    origin = Origin(ENVIRONMENT, name, f"env {name}")
    place = place_of(sources.shape, name.removeprefix(PREFIX).split(SEPARATOR))
    if len(place) == 1 and place[0] not in sources.shape.branches:
        reason = f"is not a known setting; {near_variable(name, sources.shape)} Else unset it"
        sources.problems.append(Problem(ENVIRONMENT, name, reason))
        return
    if _add_from_file(sources, place, value=text, origin=origin, base="", siblings={}):
        return
    sources.set(place, read_text(text, type_at(sources.shape, place)), origin)


def _add_from_file(
    sources: Sources,
    place: Place,
    *,
    value: Any,
    origin: Origin,
    base: str,
    siblings: Mapping[Any, Any],
) -> bool:
    """Follow ``password_file: /run/secrets/x``; whether ``place`` was such a key.

    Relative paths start at the folder of the configuration file, in variables at the current one.
    A plugin that declares the key itself, to read the file again, is told its whole path.
    """
    name, declared = str(place[-1]), field_at(sources.shape, place)
    plain = declared is not None and not declared.metadata.get("read_again", False)
    if plain or not name.endswith("_file"):
        return False
    target = (*place[:-1], name.removesuffix("_file"))
    field = field_at(sources.shape, target)
    if field is None or not may_come_from_file(field):
        return False
    sources.origins[place] = origin
    if target[-1] in siblings:
        sources.add_problem(place, f"and {target[-1]} are both given; remove one")
    elif not isinstance(value, str) or not value:
        sources.add_problem(place, "must be the path of a file")
    else:
        path = os.path.join(base, value)
        try:
            secret = _read_secret(path)
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or str(error)
            sources.add_problem(place, f"cannot be read: {why}; check the path and its mode")
        else:
            text = f"{origin.text}, read from the file named there"
            sources.set(target, secret, attrs.evolve(origin, text=text))
            if declared is not None:
                sources.set(place, os.path.abspath(path), origin)
    return True


def _read_secret(path: str) -> str:
    with open(path, "rb") as stream:
        content = stream.read(MAX_SECRET_BYTES + 1)
    if len(content) > MAX_SECRET_BYTES:
        raise ValueError(f"it has more than {MAX_SECRET_BYTES} bytes")
    try:
        return content.decode().rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise ValueError("it is not UTF-8 text") from error
