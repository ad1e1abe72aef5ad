"""Bodies from templates: a closed language whose only word is ``${name}``.

A template is a JSON value; each ``${name}`` in its texts becomes a fact of the alert. A text that
is nothing but one ``${name}`` becomes the fact itself, a number or null included. What is put in is
never looked into again, and nothing else means anything: no expressions, no conditions, no calls.
"""

import re
from collections.abc import Iterator, Mapping

from dsched.model import JsonValue
from dsched.wording import did_you_mean, printable
from dsched_alerts.alert import FACTS

_NAME = re.compile(r"\$\{([^{}$]*)\}")


def problems(template: JsonValue) -> list[str]:
    """What is wrong with a template, each a sentence; empty when it is fine."""
    unknown = {
        name for text in _texts(template) for name in _NAME.findall(text) if name not in FACTS
    }
    return [
        f"template: ${{{printable(name)}}} is no fact of an alert; {did_you_mean(name, FACTS)}"
        for name in sorted(unknown)
    ]


def render(template: JsonValue, facts: Mapping[str, JsonValue]) -> JsonValue:
    """The template with the facts put in."""
    if isinstance(template, str):
        whole = _NAME.fullmatch(template)
        if whole is not None:
            return facts[whole[1]]
        return _NAME.sub(lambda found: _text(facts[found[1]]), template)
    if isinstance(template, Mapping):
        return {key: render(value, facts) for key, value in template.items()}
    if isinstance(template, list | tuple):
        return [render(item, facts) for item in template]
    return template


def _text(fact: JsonValue) -> str:
    return "" if fact is None else str(fact)


def _texts(value: JsonValue) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list | tuple):
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(item)
