"""How errors quote names that somebody wrote: bounded, printable, with the name that was meant."""

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Any

MAX_SHOWN = 60
# Nobody reads more, and each costs a comparison with every known name.
MAX_PROBLEMS = 20


# Characters that end a line, control a terminal, or reverse the direction of a text.
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def has_controls(text: str) -> bool:
    """Whether a text can look like something else than it is."""
    return _CONTROLS.search(text) is not None


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

    ``prefix`` says where the keys stand, with its dot at the end (``tls.``). Of very many the first
    are told, and how many more there are.
    """
    names = sorted(known)
    unknown = [str(key) for key in found if key not in names]
    problems = [
        f"{prefix}{printable(key)}: is not a known key; {did_you_mean(key, names)}"
        for key in unknown[:MAX_PROBLEMS]
    ]
    if len(unknown) > MAX_PROBLEMS:
        more = len(unknown) - MAX_PROBLEMS
        problems.append(
            f"{prefix.rstrip('.') or 'payload'}: has {more} more keys that are not known"
        )
    return problems
