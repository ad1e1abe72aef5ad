"""The environment of child processes: the worker's own, without what looks like a secret."""

import re
from collections.abc import Collection, Mapping

from dsched.contracts.executor.withheld import WITHHELD


class PassEnvError(RuntimeError):
    """A variable that children are to get although they must not."""


# Parts of a name between underscores that mark a secret, or a way to one.
_SECRET_PARTS = frozenset(
    [
        "auth",
        "authorization",
        "cookie",
        "cookies",
        "credential",
        "credentials",
        "cred",
        "creds",
        "dsn",
        "jwt",
        "key",
        "keys",
        "pass",
        "passphrase",
        "passwd",
        "password",
        "pwd",
        "secret",
        "secrets",
        "token",
        "tokens",
    ]
)
_SECRET_WORDS = ("token", "secret", "password", "passwd", "credential", "apikey", "accesskey")
MIN_SECRET_CHARS = 8  # other variables may well have an equal value that is shorter
_HARMLESS = frozenset({"PWD", "OLDPWD"})


def child_environment(environment: Mapping[str, str], pass_env: Collection[str]) -> dict[str, str]:
    """What a child may see: no ``DSCHED_*``, no secret by name or by value, but ``pass_env``.

    Never what the settings name as a secret of the pod, nor a copy of it under another name.
    """
    withheld = {name: value for name, value in environment.items() if WITHHELD.holds(name)}
    copies = {value for value in withheld.values() if len(value) >= MIN_SECRET_CHARS}
    return {
        name: value
        for name, value in environment.items()
        if name not in withheld
        and (name in pass_env or (value not in copies and not _is_secret(name, value)))
    }


def check_pass_env(pass_env: Collection[str]) -> None:
    """Refuse to pass a secret of the pod: one of the two settings is a mistake."""
    for name in pass_env:
        if WITHHELD.holds(name):
            raise PassEnvError(
                f"executors.local.pass_env names {name}, which the settings name as a "
                "secret of the pod too (a secret_env, or secret://env/...): no child "
                "process gets that; take it out of one of both, or give the functions a "
                "variable of their own"
            )


def _is_secret(name: str, value: str) -> bool:
    if name in _HARMLESS:
        return False
    lower = name.lower()
    if lower.startswith("dsched_") or any(word in lower for word in _SECRET_WORDS):
        return True
    # PGPASSWORD is caught above; DB_PASS, AWS_ACCESS_KEY_ID, SSH_AUTH_SOCK, MYSQL_PWD here.
    if not _SECRET_PARTS.isdisjoint(re.split(r"[^a-z0-9]", lower)):
        return True
    _, scheme_end, rest = value.partition("://")
    return bool(scheme_end) and "@" in rest  # a URL with a user or password in it
