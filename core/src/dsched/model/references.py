"""What the references of a payload may name, as far as that is known where it is declared."""

import re
from collections.abc import Callable, Mapping

import attrs

from dsched.model.fields import InvalidConfigError
from dsched.model.json import JsonValue
from dsched.model.params import NO_VALUES
from dsched.model.templates import Path, TemplateError, references
from dsched.wording import did_you_mean

_OF_FIRE = frozenset({"time", "date", "ms"})
_OF_SHARD = frozenset({"index", "total"})
_OF_NEEDS = frozenset({"data", "code", "status"})
_NOBODY: frozenset[str] = frozenset()
# Keys of payloads that choose the server which is spoken to, each with scheme and host.
_URLS = ("url",)
# Keys of payloads that say what is run, or on which server.
_LITERALS = ("function", "target", "method", "broker")


@attrs.frozen(kw_only=True)
class Names:
    """What there is to refer to: ``params`` by name, ``needed`` steps; ``labels``, where all of
    them are known. A task of a run has ``run.id``, one of many parts ``shard`` as well, one of a
    list ``item``, too."""

    params: Mapping[str, object] = NO_VALUES
    needed: frozenset[str] = _NOBODY
    labels: Mapping[str, str] | None = None
    run: bool = True
    sharded: bool = False
    listed: bool = False


def check_payload(payload: JsonValue, where: str, names: Names) -> None:
    """Refuse templates that cannot be read, or that name what a task of this kind does not
    have."""
    try:
        for path in references(payload):
            _check_reference(path, names)
    except TemplateError as error:
        raise InvalidConfigError(where, str(error)) from None
    if isinstance(payload, Mapping):
        _check_literals(payload, where)


def _check_literals(payload: Mapping[str, JsonValue], where: str) -> None:
    """A reference must not choose what is run, or the server that is spoken to."""
    for key in _LITERALS:
        if isinstance(payload.get(key), str) and "${" in payload[key]:
            raise InvalidConfigError(f"{where}.{key}", "must be a literal, without references")
    for key in _URLS:
        url = payload.get(key)
        if not isinstance(url, str) or "${" not in url:
            continue
        scheme, slashes, rest = url.partition("://")
        host = re.split(r"[/?#]", rest)[0]
        if not slashes or "${" in scheme or "${" in host:
            raise InvalidConfigError(
                f"{where}.{key}", "needs a literal scheme and host before the first reference"
            )


def _check_reference(path: Path, names: Names) -> None:
    check = _ROOTS.get(path[0])
    if check is None or not check(path, names):
        raise TemplateError(
            f"${{{'.'.join(path)}}} names nothing; there are fire.time, fire.date, fire.ms, "
            "params.NAME, task.id, run.id, attempt, shard.index, shard.total, item, labels.NAME, "
            "needs.STEP.data, needs.STEP.code, needs.STEP.status"
        )


def _attempt(path: Path, _: Names) -> bool:
    return len(path) == 1


def _fire(path: Path, _: Names) -> bool:
    return len(path) == 2 and path[1] in _OF_FIRE


def _task(path: Path, _: Names) -> bool:
    return path[1:] == ("id",)


def _run(path: Path, names: Names) -> bool:
    if not names.run:
        raise TemplateError(f"${{{'.'.join(path)}}} names nothing: this is no run of many tasks")
    return path[1:] == ("id",)


def _labels(path: Path, names: Names) -> bool:
    if len(path) == 2 and names.labels is not None and path[1] not in names.labels:
        raise TemplateError(
            f"${{labels.{path[1]}}} names nothing: labels has no {path[1]!r}; "
            f"{did_you_mean(path[1], names.labels)}"
        )
    return len(path) == 2


def _shard(path: Path, names: Names) -> bool:
    known = len(path) == 2 and path[1] in _OF_SHARD
    if known and not names.sharded:
        raise TemplateError(f"${{{'.'.join(path)}}} names nothing: there are no shards here")
    return known


def _item(path: Path, names: Names) -> bool:
    if not names.listed:
        raise TemplateError(
            f"${{{'.'.join(path)}}} names nothing: there are items where a step has for_each"
        )
    return True


def _params(path: Path, names: Names) -> bool:
    if len(path) < 2:
        return False
    if path[1] not in names.params:
        raise TemplateError(
            f"${{{'.'.join(path)}}} names nothing: params declares no {path[1]!r}; "
            f"{did_you_mean(path[1], names.params)}"
        )
    return True


def _needs(path: Path, names: Names) -> bool:
    if len(path) < 3 or path[2] not in _OF_NEEDS:
        return False
    if path[1] not in names.needed:
        raise TemplateError(
            f"${{{'.'.join(path)}}} names nothing: this step does not need {path[1]!r}, directly "
            "or through others; add it to needs"
        )
    return True


_ROOTS: Mapping[str, Callable[[Path, Names], bool]] = {
    "attempt": _attempt,
    "fire": _fire,
    "task": _task,
    "run": _run,
    "labels": _labels,
    "shard": _shard,
    "item": _item,
    "params": _params,
    "needs": _needs,
}
