"""The steps as Lua scripts: read from the package, assembled, known by their SHA-1."""

import hashlib
import re
from collections import Counter
from functools import cache
from importlib import resources

import attrs

from dsched.contracts.store.formats import KNOWN_FORMATS, STORE_FORMAT
from dsched_store_redis.phrases import shorten

# What the keys hold, beside the format of the records that all stores share.
LAYOUT = 3
FORMAT = f"{STORE_FORMAT}.{LAYOUT}"
FORMATS = tuple(f"{known}.{LAYOUT}" for known in KNOWN_FORMATS)
_FOLDER = resources.files("dsched_store_redis").joinpath("scripts")
_PARTS = (
    "workers",
    "buckets",
    "tasks",
    "oldest",
    "attempts",
    "sources",
    "limits",
    "classes",
    "lines",
    "cancel",
    "queues",
    "requeue",
    "rows",
    "page",
    "configs",
    "log",
    "facts",
    "promote",
    "due",
    "runs",
    "documents",
    "terms",
    "pods",
)
_FUNCTION = re.compile(r"^local function (\w+)\(.*?^end\n", re.MULTILINE | re.DOTALL)
_WORD = re.compile(r"\w+")
_USES = re.compile(r"^-- use: (.*)$", re.MULTILINE)
# Steps that add to what the store holds: a full server refuses them and takes all others, so that
# what runs can end and drain.
_ADMITTING = frozenset(
    {"submit", "put", "fire", "advance", "put_document", "put_limit", "append_lines"}
)

# The same step under another name, for calls that add nothing.
_SPARING = {"settle": "advance"}

_READING = frozenset(
    {
        "abilities",
        "counts",
        "decisions",
        "events",
        "get",
        "get_configs",
        "get_document",
        "get_limits",
        "history",
        "leader",
        "limit_uses",
        "list_configs",
        "list_documents",
        "list_limits",
        "list_tasks",
        "place_in_line",
        "pods",
        "run_lines",
        "shut_classes",
        "store_format",
        "stats",
        "task_lines",
        "terms",
        "workers",
    }
)


@attrs.frozen
class Script:
    """One step. ``reads_only``: it changes only the clock's mark, so a failover loses nothing of
    it."""

    name: str
    text: bytes
    sha: bytes
    reads_only: bool = False


def script_names() -> tuple[str, ...]:
    """The names of all steps: those of the files that do not start with an underscore."""
    names = (item.name for item in _FOLDER.iterdir())
    return tuple(
        sorted(n.removesuffix(".lua") for n in names if n.endswith(".lua") and n[0] != "_")
    )


@attrs.frozen
class Scripts:
    """All steps, for servers that know script flags (7.0 and later) or not.

    ``time_source`` is the Lua that defines ``wall_clock`` and ``px``. Only tests give another one
    than the server's clock.
    """

    by_name: dict[str, Script]

    @classmethod
    def assemble(cls, *, flags: bool, time_source: str | None = None) -> "Scripts":
        """Read and join the files."""
        return cls(_all(flags, time_source))

    def __getitem__(self, name: str) -> Script:
        """The script of a step."""
        return self.by_name[name]


@cache
def _all(flags: bool, time_source: str | None) -> dict[str, Script]:
    """Joined once a process: a pod opens three handles, and joining takes 50 ms of processor
    time."""
    clock = time_source or _read("_clock")
    found = {name: _assemble(name, clock, flags=flags) for name in script_names()}
    sparing = {
        name: _assemble(step, clock, flags=flags, admits=False) for name, step in _SPARING.items()
    }
    return found | sparing


def _assemble(name: str, clock: str, *, flags: bool, admits: bool = True) -> Script:
    body = _read(name)
    shebang = ""
    if flags:
        refused = admits and name in _ADMITTING
        shebang = "#!lua\n" if refused else "#!lua flags=allow-oom\n"
    wanted = _USES.search(body)
    used = wanted.group(1).split() if wanted else []
    if "tasks" in used:
        used.append("buckets")  # whatever takes a task from a queue gives its tokens back
    parts = [_read(f"_{part}") for part in _PARTS if part in used]
    # The first step of all runs before there is a format for the prelude to compare.
    head = [] if name == "init" else [clock, _read("_prelude")]
    text = shorten(_named_needed(_only_needed(_strip("\n".join([*head, *parts, body])))))
    known = "\n".join(FORMATS) + "\n"
    text = text.replace("@FORMAT@", FORMAT).replace("@FORMATS@", known.replace("\n", "\\n"))
    data = (shebang + text).encode()
    sha = hashlib.sha1(data, usedforsecurity=False).hexdigest().encode()
    return Script(name, data, sha, reads_only=name in _READING)


def _only_needed(text: str) -> str:
    """The text without the functions that it does not call: each costs time in every run.

    A function is what stands between ``local function`` and ``end`` at the start of a line.
    """
    found = {match.group(1): match.group(0) for match in _FUNCTION.finditer(text)}
    wanted = set(_WORD.findall(_FUNCTION.sub("", text))) & found.keys()
    todo = list(wanted)
    while todo:
        called = set(_WORD.findall(found[todo.pop()])) & found.keys()
        todo.extend(called - wanted)
        wanted |= called
    return _FUNCTION.sub(lambda match: match.group(0) if match.group(1) in wanted else "", text)


_CONSTANTS = re.compile(r"^local ([A-Z_]+(?:, [A-Z_]+)*) = ([^\n({]+)$", re.MULTILINE)


def _named_needed(text: str) -> str:
    """The text without the constants that it does not name: Lua has room for 200 locals."""
    counts = Counter(_WORD.findall(text))

    def needed(match: re.Match[str]) -> str:
        names, values = match.group(1).split(", "), match.group(2).split(", ")
        if len(names) != len(values):
            return match.group(0)
        kept = [pair for pair in zip(names, values, strict=True) if counts[pair[0]] > 1]
        if not kept:
            return ""
        return f"local {', '.join(one for one, _ in kept)} = {', '.join(one for _, one in kept)}"

    return _CONSTANTS.sub(needed, text)


def _strip(text: str) -> str:
    """The text without comment lines: a server does not need them."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("--")]
    return "\n".join(line for line in lines if line.strip()) + "\n"


def _read(name: str) -> str:
    return _FOLDER.joinpath(f"{name}.lua").read_text(encoding="utf-8")
