"""Where a config is declared: by a call, in a file, or in code. Only its origin changes it."""

import re
from pathlib import PurePath

from dsched.model.ids import MAX_ID_LENGTH

API_ORIGIN = "api"
"""The origin of what somebody put by a call, and of what was stored before there were origins."""

ORPHAN = "orphan"
"""Who paused a config that its origin no longer declares."""

_ORIGIN = re.compile(r"api|(?:code|file):[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}")


def is_origin(value: object) -> bool:
    """Whether this is ``api``, ``code:NAME`` or ``file:NAME``, with a NAME that could be an id."""
    return isinstance(value, str) and _ORIGIN.fullmatch(value) is not None


def file_origin(path: str) -> str:
    """The origin of what a file declares: ``file:`` and the file's name without its ending.

    Characters that an id cannot have become ``_``.
    """
    return f"file:{_cleaned(PurePath(path).stem)}"


def code_origin(app: str) -> str:
    """The origin of what the code of ``app``, a module or a name, declares; cleaned like a
    file's."""
    return f"code:{_cleaned(app)}"


def _cleaned(name: str) -> str:
    clean = re.sub(r"[^A-Za-z0-9_.:-]", "_", name)[:MAX_ID_LENGTH]
    return clean if clean[:1].isalnum() else "x" + clean[1:]
