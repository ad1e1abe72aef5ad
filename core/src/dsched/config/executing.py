"""Who runs a task of a file, and with what: its executor, and whether that takes the payload."""

from collections.abc import Mapping
from datetime import date
from typing import Any

from dsched.config.problems import Place, tidy
from dsched.config.structuring import Flaw
from dsched.contracts import ExecutorProvider
from dsched.loading import Catalogue, Installed, NotInstalledError
from dsched.loading.remedy import installed
from dsched.model import NotJsonError
from dsched.model.json import MAX_JSON_DEPTH, check_json
from dsched.model.templates import has_templates

MAX_PAYLOAD_PROBLEMS = 20
STAND_IN = "stand-in"  # for an executor that was refused, so that the rest is checked too


def choose_executor(
    given: dict[str, Any], flaws: list[Flaw], catalogue: Catalogue
) -> Installed[ExecutorProvider] | None:
    """Fill in `executor` from `type`, or `type` from the protocol of the executor."""
    name, kind = given.get("executor"), given.get("type")
    if any(value is not None and not isinstance(value, str) for value in (name, kind)):
        return None  # structuring says which
    if not name and not kind:
        there = installed(catalogue.executors)
        flaws.append(Flaw(("executor",), f"is missing; name one of those installed: {there}"))
        given["executor"] = STAND_IN
        return None
    if not name:
        try:
            chosen = catalogue.executor_for_type(str(kind))
        except NotInstalledError as error:
            flaws.append(Flaw(("type",), tidy(str(error))))
            given["executor"] = STAND_IN
            return None
        given["executor"] = chosen.provider.name
        return chosen
    if name not in catalogue.executors:
        there = installed(catalogue.executors)
        reason = f"no installed executor is called {str(name)!r}; installed: {there}"
        flaws.append(Flaw(("executor",), tidy(reason)))
        return None
    chosen = catalogue.executors[name]
    protocol = chosen.provider.protocol
    if kind and kind != protocol:
        reason = f"{kind!r} disagrees with executor {name!r}, which runs {protocol!r}; drop one"
        flaws.append(Flaw(("type",), tidy(reason)))
    given["type"] = protocol
    return chosen


def check_payload(
    given: dict[str, Any],
    flaws: list[Flaw],
    chosen: Installed[ExecutorProvider] | None,
    *,
    templates: bool,
) -> None:
    """What JSON cannot carry, what is too large, and what the executor says about the rest: with
    ``templates`` nothing about what has references, which are not resolved yet."""
    payload = given.get("payload")
    try:
        check_json(payload, "payload")
    except NotJsonError as error:
        # A date is what JSON refuses: looked for only where something was.
        dates = dates_in(payload, ("payload",))
        reason = "is a date of YAML, which JSON cannot carry; put it in quotes to send text"
        flaws.extend(Flaw(place, reason) for place in dates[:MAX_PAYLOAD_PROBLEMS])
        if not dates:
            flaws.append(Flaw(("payload",), tidy(str(error)).removeprefix("payload ")))
    else:
        unknown = templates and has_templates(payload)
        flaws.extend(_executor_says(payload, chosen) if chosen and not unknown else ())
        return
    given.pop("payload", None)


def _executor_says(payload: object, chosen: Installed[ExecutorProvider]) -> list[Flaw]:
    try:
        reasons = [str(one) for one in chosen.provider.check_payload(payload)]
    except Exception as error:  # noqa: BLE001 - a plugin's check may raise what it likes
        who = f"{chosen.distribution} {chosen.version}"
        reasons = [f"cannot be judged: the check of {who} raised {type(error).__name__}: {error}"]
    return [Flaw(("payload",), tidy(reason)) for reason in reasons[:MAX_PAYLOAD_PROBLEMS]]


def dates_in(value: object, place: Place) -> list[Place]:
    """Where a payload has values that YAML read as dates."""
    if isinstance(value, date):
        return [place]
    if len(place) > MAX_JSON_DEPTH + 1:
        return []
    if isinstance(value, Mapping):
        items: list[tuple[str | int, Any]] = [(str(key), item) for key, item in value.items()]
    elif isinstance(value, list):
        items = list(enumerate(value))
    else:
        return []
    return [found for key, item in items for found in dates_in(item, (*place, key))]
