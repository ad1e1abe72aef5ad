"""How configs, snapshots, results and decisions are written as JSON; every record has a version.

Fields at their default are omitted, so that what is stored stays small and a later version may add
fields. A text is made once, of a payload or of data that was written when it was checked; what is
read was checked when it was written.
"""

from functools import lru_cache
from typing import TypeVar

import attrs

from dsched.contracts.store.operating import PodRecord
from dsched.contracts.store.records import RecordOf
from dsched.model import (
    Decision,
    JsonValue,
    OnCrash,
    RetryPolicy,
    TaskConfig,
    TaskResult,
    TaskSpec,
)
from dsched.model.calendars import calendar_of
from dsched.model.defaults import GIVEN_RETRY, GIVEN_TIMEOUT, given_retry
from dsched.model.json import check_json, dumps, dumps_with, loads, loads_plain
from dsched.model.task_config import restored

# The version in each record, and those that are read. A record that uses a key which came later
# than format 3 says 2, so that versions which know only 1 leave it alone rather than read half of
# it. All others stay as they were, to the byte. A reader passes over keys that it does not know.
RECORD_VERSION = 1
LATER_VERSION = 2
READ_VERSIONS = (RECORD_VERSION, LATER_VERSION)
# A version that passed one of them over would do something else than was meant.
_LATER_KEYS = frozenset(
    {
        "calendar",
        "workflow",
        "member",
        "limits",
        "max_running",
        "template",
        "params",
        "param_values",
        "resumes",
        "pause_after_failures",
        "max_runs",
    }
)
# The executor of a record that cannot be read; no plugin can have this name.
UNREADABLE = "(unreadable)"

I = TypeVar("I", TaskSpec, TaskConfig)  # noqa: E741 - an item


class UnknownRecordError(ValueError):
    """A stored record of a version that this dsched does not know."""


_SPEC = RecordOf(TaskSpec, apart=["payload"])
_CONFIG = RecordOf(
    TaskConfig, apart=["payload", "calendar", "revision", "created_ms", "updated_ms"]
)
_RESULT = RecordOf(TaskResult, apart=["data"])
_DECISION = RecordOf(Decision)

# Where a snapshot keeps its text, beside its fields.
_TEXT = "_text"


def write_config(config: TaskConfig) -> str:
    """The author's content alone, canonical: equal content gives equal text."""
    record = _CONFIG.write(config)
    if config.calendar is not None:
        record["calendar"] = config.calendar.record()
    return _with_payload(_versioned(record), config)


@lru_cache(maxsize=4096)
def read_config(text: str, *, revision: int, created_ms: int, updated_ms: int) -> TaskConfig:
    """A config from its content and what the store knows of it.

    Cached: a leader reads a config anew for each fire, and none of these changes by a fire.
    """
    known = {"revision": revision, "created_ms": created_ms, "updated_ms": updated_ms}
    return _read(text, TaskConfig, _CONFIG, known)


def write_spec(spec: TaskSpec) -> str:
    """A snapshot, canonical: equal snapshots have equal texts. Made once: many tasks share one."""
    kept: str | None = spec.__dict__.get(_TEXT)
    if kept is None:
        kept = spec.__dict__[_TEXT] = _with_payload(_versioned(_SPEC.write(spec)), spec)
    return kept


def write_spec_around_revision(spec: TaskSpec) -> tuple[str, str]:
    """The text of a snapshot before and after its revision, which only the store knows."""
    record = _versioned(_SPEC.write(spec))
    before = {name: value for name, value in record.items() if name < "revision"}
    after = {name: value for name, value in record.items() if name > "revision"}
    return f'{_with_payload(before, spec)[:-1]},"revision":', f",{dumps(after)[1:]}"


def read_spec(text: str) -> TaskSpec:
    """A snapshot."""
    return _read(text, TaskSpec, _SPEC, {})


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
    if result.code == "ok" and result.message == "":
        # As most are: their record has nothing but the data, whose text is there.
        return f'{{"data":{result.data_text},"v":1}}' if result.data is not None else '{"v":1}'
    record = _versioned(_RESULT.write(result))
    return dumps(record) if result.data is None else dumps_with(record, "data", result.data_text)


def read_result(text: str) -> TaskResult:
    """A result from a text of `write_result`."""
    record, _ = _record(text, TaskResult)
    return TaskResult(**_RESULT.read(record), data=record.get("data"))


def write_decision(decision: Decision) -> str:
    """A decision as one record."""
    return dumps(_versioned(_DECISION.write(decision)))


def read_decision(text: str) -> Decision:
    """A decision from a record of `write_decision`."""
    record, _ = _record(text, Decision)
    return Decision(**_DECISION.read(record))


# Stored beside the record, because older versions refuse a record with a key that they do not know.
_BESIDE = {"store_format"}
_OF_A_POD = {field.name for field in attrs.fields(PodRecord)} - _BESIDE


def write_pod(pod: PodRecord) -> str:
    """What a pod says of itself, without the newest format that it knows."""
    record = {key: value for key, value in attrs.asdict(pod).items() if key in _OF_A_POD}
    return dumps({**record, "roles": list(pod.roles)})


def read_pod(text: str, *, seen_ms: int, store_format: int) -> PodRecord:
    """A pod from a text of `write_pod`, whatever else a later version has put into it."""
    fields = {key: value for key, value in loads(text).items() if key in _OF_A_POD}
    fields |= {"roles": tuple(fields["roles"]), "seen_ms": seen_ms, "store_format": store_format}
    return PodRecord(**fields)


def _versioned(record: dict[str, JsonValue]) -> dict[str, JsonValue]:
    record["v"] = RECORD_VERSION if _LATER_KEYS.isdisjoint(record) else LATER_VERSION
    return record


def _with_payload(record: dict[str, JsonValue], item: TaskSpec | TaskConfig) -> str:
    if item.payload is None:
        return dumps(record)
    return dumps_with(record, "payload", item.payload_text)


def _record(text: str, cls: type) -> tuple[dict[str, JsonValue], bool]:
    """The record of a text; and False, where only the standard library could read it."""
    record, plain = loads_plain(text)
    if not isinstance(record, dict):
        raise UnknownRecordError(f"a stored {cls.__name__} is a {type(record).__name__}, no record")
    version = record.get("v")
    if version not in READ_VERSIONS:
        raise UnknownRecordError(
            f"a stored {cls.__name__} has version {version!r}; this dsched knows "
            f"{' and '.join(map(str, READ_VERSIONS))}: run the version that wrote it, or a "
            "newer one"
        )
    return record, plain


def _read(text: str, cls: type[I], form: RecordOf, known: dict[str, int]) -> I:
    record, plain = _record(text, cls)
    fields = form.read(record)
    payload = fields["payload"] = record.get("payload")
    if not plain:
        check_json(payload, "payload")
    # Nothing counts as left out of what was read: it was filled in when it was written.
    fields.setdefault("timeout", GIVEN_TIMEOUT)
    fields["retry"] = given_retry(fields["retry"]) if "retry" in fields else GIVEN_RETRY
    if cls is TaskConfig and record.get("calendar") is not None:
        fields["calendar"] = calendar_of(record["calendar"])
    return restored(cls, {**fields, **known})
