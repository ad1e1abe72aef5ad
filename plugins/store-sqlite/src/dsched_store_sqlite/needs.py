"""The column `needs`: what dispatch must know of a task beyond its row."""

from functools import lru_cache

from dsched.model import TaskSpec, need_of
from dsched.model.json import dumps, loads
from dsched_store_sqlite.rows import RUN


def needs_of(spec: TaskSpec) -> str | None:
    """What dispatch must know beyond the row: required labels, affinity key and need, if any."""
    if spec.workflow is not None:
        return RUN
    need = need_of(spec.executor, spec.payload)
    if spec.limits:
        labels, limits = dict(spec.required_labels), list(spec.limits)
        return dumps({"labels": labels, "key": spec.affinity_key, "need": need, "limits": limits})
    if not (spec.required_labels or need) and spec.affinity_key is None:
        return None
    if not spec.required_labels and spec.affinity_key is None:
        return _needs_of_need(need)
    return dumps({"labels": dict(spec.required_labels), "key": spec.affinity_key, "need": need})


@lru_cache(maxsize=4096)
def read_needs(text: str | None) -> tuple[dict[str, str], str | None, str]:
    """Required labels, affinity key and need, as `needs_of` wrote them; earlier builds no
    need."""
    if text is None:
        return {}, None, ""
    needs = loads(text)
    return needs["labels"], needs["key"], needs.get("need", "")


def limits_of(text: str | None) -> tuple[str, ...]:
    """The limits that a task names."""
    return _limits_of(text) if text is not None and '"limits":' in text else ()


@lru_cache(maxsize=4096)
def _limits_of(text: str) -> tuple[str, ...]:
    return tuple(loads(text).get("limits", ()))


@lru_cache(maxsize=4096)
def _needs_of_need(need: str) -> str:
    """What most tasks need, of which there are few different ones."""
    return dumps({"labels": {}, "key": None, "need": need})
