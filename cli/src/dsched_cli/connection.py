"""Where the server is and which token opens it: flags, then environment, then a profile."""

import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import attrs

from dsched_cli.cleaning import clean
from dsched_cli.errors import UsageError

DEFAULT_URL = "http://127.0.0.1:8700"
MAX_FILE_BYTES = 64 * 1024
_LOOPBACK = re.compile(r"127(\.[0-9]{1,3}){3}")
_KEYS = frozenset({"url", "token", "token_file", "ca_file"})


@attrs.frozen(kw_only=True)
class Target:
    """A server and how to reach it."""

    url: str = DEFAULT_URL
    token: str = attrs.field(default="", repr=False)
    ca_file: str = ""
    origin: str = "default"


def profiles_path(env: Mapping[str, str]) -> Path:
    """The file of the profiles: ``DSCHED_PROFILES``, else below the folder of configurations."""
    if named := env.get("DSCHED_PROFILES"):
        return Path(named).expanduser()
    home = env.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(home).expanduser() / "dsched" / "profiles.yaml"


def find_target(
    env: Mapping[str, str],
    *,
    url: str | None = None,
    token: str | None = None,
    profile: str | None = None,
) -> Target:
    """What the flags say, completed by the environment, then by the profile.

    A profile that is named must exist. The default profile's token is only sent to the profile's
    own address: another ``--url`` never gets it.
    """
    name = profile or env.get("DSCHED_PROFILE") or ""
    found = _profile(profiles_path(env), name)
    target = found
    chosen_url = url or (None if profile else env.get("DSCHED_URL"))
    if chosen_url and chosen_url != found.url:
        origin = "--url" if url else "DSCHED_URL"
        target = Target(url=chosen_url, ca_file=found.ca_file, origin=origin)
    given = token if token is not None else (None if profile else env.get("DSCHED_TOKEN"))
    if given is not None:
        target = attrs.evolve(target, token=_token(given))
    elif not target.token and env.get("DSCHED_TOKEN_FILE") and not profile:
        target = attrs.evolve(target, token=read_token(Path(env["DSCHED_TOKEN_FILE"])))
    return target


def plain_text_token(target: Target) -> bool:
    """Whether the token would cross a network that others can read."""
    if not target.token or not target.url.startswith("http://"):
        return False
    host = urlsplit(target.url).hostname or ""
    return not (host in ("localhost", "::1") or _LOOPBACK.fullmatch(host))


def _profile(path: Path, name: str) -> Target:
    if not path.exists():
        if name:
            raise UsageError(
                f"there is no profile {clean(name)!r}",
                why=f"{path} does not exist",
                todo="write one: `profiles: {NAME: {url: ..., token_file: ...}}`",
            )
        return Target()
    document = _read(path)
    profiles = document.get("profiles")
    if not isinstance(profiles, dict):
        raise _wrong(path, "it needs a mapping under `profiles`")
    name = name or str(document.get("default") or "")
    if not name:
        return Target()
    raw = profiles.get(name)
    if not isinstance(raw, dict):
        known = ", ".join(clean(one) for one in sorted(map(str, profiles))) or "none"
        raise UsageError(
            f"there is no profile {clean(name)!r}",
            why=f"{path} has these: {known}",
            todo="name one of them with --profile or DSCHED_PROFILE",
        )
    return _target(path, name, raw)


def _target(path: Path, name: str, raw: dict[str, Any]) -> Target:
    unknown = sorted(set(map(str, raw)) - _KEYS)
    if unknown:
        raise _wrong(path, f"profile {name} has unknown keys {', '.join(unknown)}")
    if not all(isinstance(value, str) for value in raw.values()):
        raise _wrong(path, f"the values of profile {name} must be text")
    token = ""
    if "token" in raw:
        _check_mode(path, "it holds a token")
        token = _token(raw["token"])
    elif "token_file" in raw:
        token = read_token(path.parent / Path(raw["token_file"]).expanduser())
    return Target(
        url=raw.get("url", DEFAULT_URL),
        token=token,
        ca_file=raw.get("ca_file", ""),
        origin=f"profile {name}",
    )


def _read(path: Path) -> dict[str, Any]:
    import yaml  # 25 ms that those without profiles need not pay

    try:
        with path.open("rb") as stream:
            content = stream.read(MAX_FILE_BYTES + 1)
        if len(content) > MAX_FILE_BYTES:
            raise _wrong(path, f"it has more than {MAX_FILE_BYTES} bytes")
        document = yaml.safe_load(content)
    except (OSError, yaml.YAMLError, RecursionError) as error:
        raise _wrong(path, clean(str(error))) from error
    if not isinstance(document, dict):
        raise _wrong(path, "it needs a mapping under `profiles`")
    return document


def read_token(path: Path) -> str:
    """The token of a file that only its owner can read."""
    _check_mode(path, "it holds a token")
    try:
        with path.open(encoding="ascii", errors="strict") as stream:
            return _token(stream.read(4096).strip())
    except (OSError, UnicodeError) as error:
        raise UsageError(
            f"the token file {path} cannot be read",
            why=str(error),
            todo="write the token into it, as `dsched token create` printed it",
        ) from error


def _token(text: str) -> str:
    text = text.strip()
    if not text.isascii() or not text.isprintable() or " " in text:
        raise UsageError(
            "the token is malformed", why="no token has such characters", todo="copy it again"
        )
    return text


def _check_mode(path: Path, why: str) -> None:
    """Refuse a file with a token that others than its owner can read."""
    if os.name != "posix":
        return
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return  # reading it says why
    if mode & 0o077:
        raise UsageError(
            f"{path} can be read by others (mode {mode:04o})",
            why=f"{why}, with which every reader can use the cluster",
            todo=f"run `chmod 600 {path}`, and replace the token if others may have seen it",
        )


def _wrong(path: Path, why: str) -> UsageError:
    return UsageError(
        f"the profiles in {path} cannot be used",
        why=why,
        todo="write `profiles: {NAME: {url: ..., token_file: ...}}`",
    )
