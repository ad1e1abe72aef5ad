"""Cursors as clients see them: opaque, and of one list only."""

import base64
import binascii
import hashlib

from dsched_api_http.problems import Problem, invalid

MAX_CURSOR = 3072  # the keys of four lists, with ids of 300 characters
_CHECK = 6


class Cursors:
    """Wraps a store's cursor with the name of its list, so that a foreign one is recognised."""

    @staticmethod
    def write(name: str, cursor: str | None) -> str | None:
        """The text for a client."""
        if cursor is None:
            return None
        inner = cursor.encode()
        return base64.urlsafe_b64encode(_check(name, inner) + inner).decode().rstrip("=")

    @staticmethod
    def read(name: str, text: str | None) -> str | None:
        """The store's cursor; raises `Problem` for any other text."""
        if text is None:
            return None
        try:
            raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
            check, inner = raw[:_CHECK], raw[_CHECK:]
            cursor = inner.decode()
        except (binascii.Error, ValueError) as error:
            raise Cursors.refused() from error
        if len(text) > MAX_CURSOR or check != _check(name, inner):
            raise Cursors.refused()
        return cursor

    @staticmethod
    def refused() -> Problem:
        """The answer to a cursor of another list."""
        return invalid(
            "cursor",
            "is no cursor of this list",
            hint="start without one, then hand back the cursor of the answer",
        )


def _check(name: str, inner: bytes) -> bytes:
    return hashlib.blake2b(inner, digest_size=_CHECK, person=_person(name)).digest()


def _person(name: str) -> bytes:
    return hashlib.blake2b(name.encode("utf-8", "replace"), digest_size=16).digest()
