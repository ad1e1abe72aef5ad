"""The options of the local executor, read from ``executors.local``."""

import os
import re
from datetime import timedelta

import attrs
from attrs import validators

MIN_PROCESS_MEMORY_BYTES = 128 * 1024 * 1024
_FUNCTION = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*", re.ASCII)


def _positive(_: object, attribute: "attrs.Attribute[timedelta]", value: timedelta) -> None:
    if value <= timedelta(0):
        raise ValueError(f"{attribute.name} must be longer than 0, not {value}")


def _names_a_function(_: object, attribute: "attrs.Attribute[str]", value: str) -> None:
    if value and not _FUNCTION.fullmatch(value):
        raise ValueError(
            f"{attribute.name} must be module:function, such as django:setup, not {value!r}"
        )


@attrs.frozen(kw_only=True)
class LocalOptions:
    """How much may run at once, and under which limits child processes live.

    ``app`` names the modules whose import registers functions. ``setup`` (``module:function``) is
    called once in each child before it imports them. Of the environment, children get
    what does not look like a secret, and in any case the variables named in ``pass_env``. With
    ``capture_output`` what they print becomes lines of their tasks, else it goes where the worker's
    own output goes.
    """

    app: tuple[str, ...] = attrs.field(default=(), converter=tuple)
    setup: str = attrs.field(default="", validator=_names_a_function)
    max_threads: int = attrs.field(default=32, validator=[validators.ge(1), validators.le(1024)])
    max_processes: int = attrs.field(
        factory=lambda: os.cpu_count() or 1, validator=[validators.ge(1), validators.le(256)]
    )
    process_memory_bytes: int | None = attrs.field(
        default=None, validator=validators.optional(validators.ge(MIN_PROCESS_MEMORY_BYTES))
    )
    max_tasks_per_process: int = attrs.field(default=1000, validator=validators.ge(1))
    process_idle: timedelta = attrs.field(default=timedelta(minutes=1), validator=_positive)
    process_start: timedelta = attrs.field(default=timedelta(seconds=30), validator=_positive)
    kill_grace: timedelta = attrs.field(default=timedelta(seconds=2), validator=_positive)
    pass_env: tuple[str, ...] = attrs.field(default=(), converter=tuple)
    capture_output: bool = True
