"""What is wrong with a file, a variable or a flag: all of it at once, each with place and
reason."""

from collections.abc import Sequence
from typing import TypeAlias

import attrs

from dsched.config.secrets import without_passwords
from dsched.wording import printable

# Where a value stands in a document: keys and list positions, from the top.
Place: TypeAlias = tuple[str | int, ...]

MAX_PROBLEMS = 100
MAX_REASON = 400


@attrs.frozen
class Problem:
    """One thing that must be put right: in which file, at which key, why, and how.

    ``file`` is the path as the user gave it, ``environment`` or ``command line``; ``path`` the key
    (``tasks[2].retry.max_retries``), empty for the file as a whole; ``line`` counts from 1.
    """

    file: str
    path: str
    reason: str
    line: int | None = attrs.field(default=None, eq=False)

    def __str__(self) -> str:
        """``file:line: path: reason``."""
        where = self.file if self.line is None else f"{self.file}:{self.line}"
        return ": ".join(part for part in (where, self.path, self.reason) if part)


class ConfigError(Exception):
    """Configuration or tasks that cannot be accepted (exit code 2); nothing of it was applied."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        shown = [str(problem) for problem in self.problems[:MAX_PROBLEMS]]
        if len(self.problems) > MAX_PROBLEMS:
            shown.append(f"... and {len(self.problems) - MAX_PROBLEMS} problems more")
        super().__init__("\n".join(shown))


def path_text(place: Place) -> str:
    """A place as people write it: ``tasks[2].retry.max_retries``."""
    text = ""
    for part in place:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{printable(part)}" if text else printable(part)
    return text


def shown(value: object) -> str:
    """A value as a message quotes it: short, printable, without the password of a URL."""
    text = without_passwords(value if isinstance(value, str) else str(value))
    return f"'{printable(text)}'" if isinstance(value, str) else printable(text)


def tidy(reason: str) -> str:
    """A reason that somebody else wrote, made fit to be printed."""
    return printable(without_passwords(reason), MAX_REASON)
