"""The options of the embedded store."""

from typing import Any

import attrs

SYNCHRONOUS = ("full", "normal")


def _check_path(_: Any, __: Any, value: str) -> None:
    if not value or "\0" in value or value.startswith((":", "file:")):
        raise ValueError(
            f"must be the path of a file, such as dsched.db, got {value!r}: "
            "the store has to outlive the process, so it is never in memory or a URI"
        )


def _check_synchronous(_: Any, __: Any, value: str) -> None:
    if value not in SYNCHRONOUS:
        raise ValueError(f"must be full or normal, got {value!r}")


@attrs.frozen(kw_only=True)
class SqliteOptions:
    """Where the file is, and what a power loss may cost.

    ``path`` is relative to the working directory; its folder must exist, the file need not.
    ``synchronous``: ``full`` keeps every acknowledged step at a power loss; ``normal`` is faster
    and may lose the last ones. A crash of the process loses nothing in either.
    """

    path: str = attrs.field(default="dsched.db", validator=_check_path)
    synchronous: str = attrs.field(default="full", validator=_check_synchronous)
