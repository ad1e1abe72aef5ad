"""What is secret in a configuration, so that no page, log or error shows it."""

import re
from typing import Any

REDACTED = "********"

_SECRET_NAME = re.compile(
    r"(?:^|_)(?:password|passwd|passphrase|secret|token|credentials?|api_key|private_key|"
    r"access_key|signing_key)s?$"
)
# The scheme is bounded, or a long word without :// would cost the square of its length.
_URL_USER = re.compile(r"(?P<head>[A-Za-z][A-Za-z0-9+.-]{0,31}://)(?P<user>[^/\s]*)@")


def is_secret_name(name: str) -> bool:
    """Whether a field of this name holds a secret: ``password``, ``admin_token``, ..."""
    return bool(_SECRET_NAME.search(name.lower().replace("-", "_")))


def is_secret(field: Any) -> bool:
    """Whether an attrs field holds a secret: by its name, ``repr=False`` or metadata `secret`."""
    return bool(
        is_secret_name(field.name) or field.repr is False or field.metadata.get("secret", False)
    )


def may_come_from_file(field: Any) -> bool:
    """Whether ``<field>_file`` may name a file with the value: for secrets, and URLs that hold
    one."""
    return is_secret(field) or field.name == "url" or field.name.endswith("_url")


def without_passwords(text: str) -> str:
    """A text with the user part of each URL in it blacked out."""
    return _URL_USER.sub(rf"\g<head>{REDACTED}@", text)


def carries_password(text: str) -> bool:
    """Whether a text is a URL with a password in it."""
    found = _URL_USER.search(text)
    return bool(found and ":" in found["user"])
