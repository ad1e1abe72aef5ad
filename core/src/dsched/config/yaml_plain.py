"""Builds YAML that uses nothing rare straight from its events, which is most of all files.

What it does not build is no error: it may have anchors, tags, merges, a key twice, be too deep or
be no YAML at all. The reader beside it looks closer, and says what is wrong and where.
"""

from typing import Any

import yaml

LOADER: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
TAG = "tag:yaml.org,2002:"
TEXT, MERGE, TIMESTAMP = TAG + "str", TAG + "merge", TAG + "timestamp"
SCALARS = frozenset(TAG + name for name in ("null", "bool", "int", "float", "str", "timestamp"))
MAX_DEPTH = 64
MAX_NODES = 200_000
MAX_NUMBER_LENGTH = 100


class UnusualError(Exception):
    """A text that takes a closer look."""


_NO_KEY = object()
_MAKES: dict[type[Any], type[Any]] = {yaml.MappingStartEvent: dict, yaml.SequenceStartEvent: list}
_ENDS = frozenset({yaml.MappingEndEvent, yaml.SequenceEndEvent})


def plain_data(text: str) -> Any:
    """The value of the one document of ``text``; raises `UnusualError`, or what PyYAML raises."""
    loader = LOADER(text)
    try:
        _expect(loader, yaml.StreamStartEvent)
        start = _expect(loader, yaml.DocumentStartEvent)
        if start.version or start.tags:
            raise UnusualError("a directive")
        data = _Building(loader).document()
        _expect(loader, yaml.StreamEndEvent)
        return data
    finally:
        loader.dispose()


def _expect(loader: Any, kind: type[Any]) -> Any:
    event = loader.get_event()
    if type(event) is not kind:
        raise UnusualError("nothing, or more than one document")
    return event


class _Building:
    """One document from its events. Of each open collection it keeps the key that awaits a
    value."""

    def __init__(self, loader: Any) -> None:
        self._loader = loader
        self._scalars: dict[str, Any] = {}  # by text: many are alike
        self._nodes = 0

    def document(self) -> Any:
        """Its value; reads up to its end."""
        top: list[Any] = []
        opened: list[tuple[Any, Any]] = []
        within: Any = top
        key: Any = _NO_KEY
        get_event, mapping = self._loader.get_event, dict
        while True:
            event = get_event()
            kind = type(event)
            if kind in _ENDS:
                within, key = opened.pop()
                continue
            if kind is yaml.DocumentEndEvent:
                return top[0]
            value = self._value(event, kind)
            is_key = type(within) is mapping and key is _NO_KEY
            if is_key:
                if type(value) is not str or value in within:
                    raise UnusualError("a key that is no text, or is there twice")
                key = value
                continue
            if key is _NO_KEY:
                within.append(value)
            else:
                within[key] = value
                key = _NO_KEY
            if kind in _MAKES:
                opened.append((within, key))
                within = value
                if len(opened) > MAX_DEPTH:
                    raise UnusualError("it is deep")

    def _value(self, event: Any, kind: type[Any]) -> Any:
        """A scalar's value, or an empty collection to be filled."""
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise UnusualError("it has many values")
        if kind is yaml.ScalarEvent:
            if event.anchor is not None or event.tag is not None:
                raise UnusualError("an anchor or a tag")
            text = event.value
            if not event.implicit[0]:
                return text
            if text not in self._scalars:
                self._scalars[text] = self._resolved(text)
            return self._scalars[text]
        if kind not in _MAKES or event.anchor is not None or event.tag is not None:
            raise UnusualError("an alias, an anchor, or a tag")
        return _MAKES[kind]()

    def _resolved(self, text: str) -> Any:
        """What a scalar without quotes stands for."""
        tag = self._loader.resolve(yaml.ScalarNode, text, (True, False))
        if tag == TEXT:
            return text
        if tag not in SCALARS or len(text) > MAX_NUMBER_LENGTH:
            raise UnusualError("a merge, or a long number")
        try:
            return self._loader.construct_object(yaml.ScalarNode(tag, text))
        except (ValueError, OverflowError, KeyError) as error:
            raise UnusualError("a number or a date that cannot be read") from error
