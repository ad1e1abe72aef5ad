"""How errors speak of names that somebody wrote: bounded, printable, with the name that was meant."""

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

MAX_SHOWN = 60


def printable(text: str, length: int = MAX_SHOWN) -> str:
    """Text from outside, safe for a terminal and of bounded length."""
    short = text if len(text) <= length else text[:length] + "..."
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in short)


def closest(name: str, known: Iterable[str]) -> str | None:
    """The known name that somebody who wrote ``name`` most likely meant, if any is close."""
    close = difflib.get_close_matches(name[:MAX_SHOWN], sorted(known), n=1, cutoff=0.6)
    return close[0] if close else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """``did you mean 'x'?``, or the list of what there is when nothing is close."""
    names = sorted(known)
    meant = closest(name, names)
    if meant is not None:
        return f"did you mean {meant!r}?"
    return f"there is {', '.join(names)}" if names else "there is none"


def unknown_keys(found: Mapping[Any, Any], known: Iterable[str], prefix: str = "") -> list[str]:
    """A problem for each key of ``found`` that is not known, for a `PayloadCheck` to return.

    ``prefix`` says where the keys stand, with its dot at the end (``tls.``).
    """
    names = sorted(known)
    return [
        f"{prefix}{printable(str(key))}: is not a known key; {did_you_mean(str(key), names)}"
        for key in found
        if key not in names
    ]
