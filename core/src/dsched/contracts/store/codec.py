"""How configs, snapshots, results and decisions are written as JSON; every record has a version.

Fields at their default are omitted, so that what is stored stays small and a later version may add
fields. Durations are whole milliseconds, datetimes RFC 3339.
"""

from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, TypeVar

import attrs
from cattrs import Converter
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn

from dsched.contracts.store.operating import PodRecord
from dsched.model import (
    Decision,
    JsonValue,
    OnCrash,
    RetryPolicy,
    TaskConfig,
    TaskResult,
    TaskSpec,
)
from dsched.model.defaults import settle
from dsched.model.json import dumps, loads

# The version in each record, and those that are read. A record that uses a key which came later than
# format 3 will say 2, so that versions of then leave it alone rather than read half of it; all others
# stay as they were, to the byte. What is not known in a record that is read is passed over.
RECORD_VERSION = 1
READ_VERSIONS = (1, 2)
# The executor of a record that cannot be read; no plugin can have this name.
UNREADABLE = "(unreadable)"

T = TypeVar("T")


class UnknownRecordError(ValueError):
    """A stored record of a version that this dsched does not know."""


def _make_converter() -> Converter:
    converter = Converter()
    converter.register_unstructure_hook(timedelta, lambda span: span // timedelta(milliseconds=1))
    converter.register_structure_hook(timedelta, lambda ms, _: timedelta(milliseconds=ms))
    converter.register_unstructure_hook(datetime, lambda instant: instant.isoformat())
    converter.register_structure_hook(datetime, lambda text, _: datetime.fromisoformat(text))
    converter.register_unstructure_hook_factory(
        attrs.has,
        lambda cls: make_dict_unstructure_fn(cls, converter, _cattrs_omit_if_default=True),
    )
    converter.register_structure_hook_factory(
        attrs.has, lambda cls: make_dict_structure_fn(cls, converter)
    )
    return converter


_CONVERTER = _make_converter()


def _write(value: Any) -> str:
    record = _CONVERTER.unstructure(value)
    record["v"] = RECORD_VERSION
    return dumps(record)


def _read(text: str | bytes, cls: type[T]) -> T:
    return _structure(loads(text), cls)


def _structure(record: dict[str, JsonValue], cls: type[T]) -> T:
    version = record.pop("v", None)
    if version not in READ_VERSIONS:
        raise UnknownRecordError(
            f"a stored {cls.__name__} has version {version!r}; this dsched knows "
            f"{' and '.join(map(str, READ_VERSIONS))}: run the version that wrote it, or a newer one"
        )
    return _CONVERTER.structure(record, cls)


def write_config(config: TaskConfig) -> str:
    """The author's content alone, canonical: equal content gives equal text."""
    return _write(config.stamped(revision=0, created_ms=0, updated_ms=0))


@lru_cache(maxsize=4096)
def read_config(text: str, *, revision: int, created_ms: int, updated_ms: int) -> TaskConfig:
    """A config from its content and what the store knows of it.

    Cached: a leader reads a config anew for each fire, and none of these changes by a fire.
    """
    config = settle(_read(text, TaskConfig))
    return config.stamped(revision=revision, created_ms=created_ms, updated_ms=updated_ms)


def write_spec(spec: TaskSpec) -> str:
    """A snapshot, canonical: equal snapshots have equal texts."""
    return _write(spec)


@lru_cache(maxsize=4096)
def read_spec(text: str) -> TaskSpec:
    """A snapshot. Cached: the tasks of one config share one text, and the value is immutable."""
    return settle(_read(text, TaskSpec))


def readable_spec(text: str) -> TaskSpec:
    """`read_spec` for a step that must not fail: a text it cannot read becomes a snapshot that
    says why, with the executor `UNREADABLE`, whose task fails openly and disturbs no other.
    """
    try:
        return read_spec(text)
    except Exception as error:  # noqa: BLE001 - whatever is wrong with one record
        payload = _unreadable("snapshot", error)
        never = RetryPolicy(max_retries=0)
        return TaskSpec(executor=UNREADABLE, payload=payload, retry=never, on_crash=OnCrash.FAIL)


def readable_config(
    config_id: str, text: str, *, revision: int, created_ms: int, updated_ms: int
) -> TaskConfig:
    """`read_config` for a step that must not fail: a text it cannot read becomes a config that
    says why, with the executor `UNREADABLE`. It is not planned; a put or a delete mends it.
    """
    try:
        return read_config(text, revision=revision, created_ms=created_ms, updated_ms=updated_ms)
    except Exception as error:  # noqa: BLE001 - whatever is wrong with one record
        return TaskConfig(
            id=config_id,
            executor=UNREADABLE,
            payload=_unreadable("config", error),
            cron_expr="@yearly",
            revision=revision,
            created_ms=created_ms,
            updated_ms=updated_ms,
        )


def _unreadable(what: str, error: Exception) -> JsonValue:
    return {"reason": f"the stored {what} cannot be read: {type(error).__name__}: {error}"[:1000]}


def write_result(result: TaskResult) -> str:
    """A result alone, as the worker hands it over."""
    return _write(result)


def read_result(text: str) -> TaskResult:
    """A result from a text of `write_result`."""
    return _read(text, TaskResult)


def write_decision(decision: Decision) -> str:
    """A decision as one record."""
    return _write(decision)


def read_decision(text: str) -> Decision:
    """A decision from a record of `write_decision`."""
    return _read(text, Decision)


# Said beside the record: versions of before refuse one with a key that they do not know.
_BESIDE = {"store_format"}
_OF_A_POD = {field.name for field in attrs.fields(PodRecord)} - _BESIDE


def write_pod(pod: PodRecord) -> str:
    """What a pod says of itself, but for the newest format that it knows."""
    record = {key: value for key, value in attrs.asdict(pod).items() if key in _OF_A_POD}
    return dumps({**record, "roles": list(pod.roles)})


def read_pod(text: str, *, seen_ms: int, store_format: int) -> PodRecord:
    """A pod from a text of `write_pod`, whatever else a later version has put into it."""
    fields = {key: value for key, value in loads(text).items() if key in _OF_A_POD}
    fields |= {"roles": tuple(fields["roles"]), "seen_ms": seen_ms, "store_format": store_format}
    return PodRecord(**fields)
