"""What somebody may ask for: checked, and turned into an operation that can be carried out."""

from collections.abc import Mapping

import attrs

from dsched.bulk.operation import BulkAct, BulkOperation
from dsched.contracts.store import Store
from dsched.model import InvalidConfigError, TaskStatus, rfc3339_ms
from dsched.model.durations import parse_duration
from dsched.model.rates import rate_text
from dsched.selecting import ConfigSelection, SelectionError, selected_ids
from dsched.wording import printable

DEFAULT_RATE = "20/1s"
MAX_PER_SECOND = 100
MIN_PER_HOUR = 1
# The ids of the configs are kept in the operation's document, beside what is in hand.
MAX_ID_CHARACTERS = 32_000

_HOUR_S = 3600


def bulk_rate(text: str | None) -> str:
    """A rate as it is stored, ``20/1s``; the span may be a unit alone, ``20/s``. None: the usual
    one. `SelectionError` for what is no rate, or none that is allowed here."""
    if text is None:
        return DEFAULT_RATE
    count, mark, span = text.strip().partition("/")
    if mark and span.strip().isalpha():
        text = f"{count.strip()}/1{span.strip()}"
    try:
        found = rate_text(text)
    except InvalidConfigError as error:
        raise SelectionError("rate", error.reason) from None
    if found is None:  # pragma: no cover - None is answered above
        return DEFAULT_RATE
    if per_second(found) > MAX_PER_SECOND:
        raise SelectionError(
            "rate",
            f"{printable(text)!r} is more than {MAX_PER_SECOND} a second, which is the most: the "
            "leader has other things to do, too",
        )
    if per_second(found) * _HOUR_S < MIN_PER_HOUR:
        raise SelectionError(
            "rate", f"{printable(text)!r} is less than {MIN_PER_HOUR} an hour; write it like 20/s"
        )
    return found


def per_second(rate: str) -> float:
    """How many a second a stored rate means."""
    count, _, span = rate.partition("/")
    return int(count) / parse_duration(span).total_seconds()


@attrs.frozen(kw_only=True)
class BulkRequest:
    """What somebody asks for, as it was given; see `ask`."""

    act: BulkAct | str
    by: str
    reason: str
    config: str | None = None
    labels: Mapping[str, str] | None = None
    owner: str | None = None
    status: TaskStatus | str | None = None
    from_ms: int | None = None
    until_ms: int | None = None
    rate: str | None = None


async def ask(store: Store, operation_id: str, asked: BulkRequest) -> BulkOperation:
    """The operation that is meant, by the configs and the time of the store; nothing is stored.

    ``status`` of a retry is a status of what has ended (by default ``failed``), of a cancel one of
    what has not (by default any). `SelectionError` names what is wrong.
    """
    act = _act(asked.act)
    if asked.config is None and not asked.labels and asked.owner is None:
        raise SelectionError(
            "config",
            f"nothing says whose tasks to {act}: give a config or the beginning of ids (etl-*), "
            "a label or an owner; * alone means every config",
        )
    pattern = "*" if asked.config is None else asked.config
    configs = ConfigSelection(pattern=pattern, labels=asked.labels or {}, owner=asked.owner)
    rate = bulk_rate(asked.rate)
    made_ms = (await store.now()).wall_ms
    before_ms = _window(act, asked.from_ms, asked.until_ms, made_ms)
    status = _status(act, asked.status)
    ids = await _ids_meant(store, configs)
    return BulkOperation(
        id=operation_id,
        act=act,
        by=asked.by,
        reason=asked.reason,
        pattern=configs.pattern,
        labels=dict(configs.labels),
        owner=asked.owner,
        status=status,
        from_ms=asked.from_ms,
        before_ms=before_ms,
        rate=rate,
        made_ms=made_ms,
        configs=len(ids),
        config_ids=ids,
    )


async def _ids_meant(store: Store, configs: ConfigSelection) -> tuple[str, ...]:
    """Those that are meant now: some, and not too many."""
    ids = await selected_ids(store, configs)
    if not ids:
        raise SelectionError("config", "no config is meant by this; `dsched config list` has all")
    if sum(len(one) + 3 for one in ids) > MAX_ID_CHARACTERS:
        raise SelectionError(
            "config",
            f"this means {len(ids)} configs, whose ids together are longer than what one operation "
            "keeps; give a longer beginning of their ids, or another label",
        )
    return ids


def _act(act: BulkAct | str) -> BulkAct:
    try:
        return BulkAct(act)
    except ValueError:
        known = ", ".join(BulkAct)
        raise SelectionError(
            "act", f"{printable(str(act))!r} is none; it must be one of {known}"
        ) from None


def _status(act: BulkAct, status: TaskStatus | str | None) -> TaskStatus | None:
    """The status that is meant, which fits what is to be done."""
    if status is None:
        return TaskStatus.FAILED if act is BulkAct.RETRY else None
    ended = act is BulkAct.RETRY
    fitting = ", ".join(one for one in TaskStatus if one.terminal is ended)
    try:
        wanted = TaskStatus(status)
    except ValueError:
        raise SelectionError(
            "status", f"{printable(str(status))!r} is none; it must be one of {fitting}"
        ) from None
    if wanted.terminal is not ended:
        why = (
            "only what has ended is run once more"
            if ended
            else "what has ended cannot be cancelled"
        )
        raise SelectionError("status", f"{why}; it must be one of {fitting}")
    return wanted


def _window(act: BulkAct, from_ms: int | None, until_ms: int | None, made_ms: int) -> int:
    """Before which instant a task must lie."""
    if act is BulkAct.CANCEL and (from_ms is not None or until_ms is not None):
        name = "since" if from_ms is not None else "until"
        raise SelectionError(name, "is about ends, and what waits or runs has none; leave it out")
    if from_ms is not None and from_ms >= made_ms:
        raise SelectionError(
            "since", f"{rfc3339_ms(from_ms)} has not come: nothing has ended after it"
        )
    before_ms = made_ms if until_ms is None else min(until_ms, made_ms)
    if from_ms is not None and from_ms >= before_ms:
        raise SelectionError("until", "must be later than since: nothing ends between them")
    return before_ms
