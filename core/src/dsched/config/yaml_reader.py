"""Reads YAML from outside: the safe C loader behind bounds, with line numbers."""

from collections.abc import Hashable, Iterator, Mapping
from datetime import date
from typing import Any

import attrs
import yaml

from dsched.config.problems import ConfigError, Place, Problem, path_text, shown
from dsched.config.yaml_plain import (
    LOADER,
    MAX_DEPTH,
    MAX_NODES,
    MAX_NUMBER_LENGTH,
    MERGE,
    SCALARS,
    TAG,
    TEXT,
    TIMESTAMP,
    UnusualError,
    plain_data,
)

MAX_BYTES = 1024 * 1024
MAX_ALIASES = 1_000


@attrs.frozen
class Document:
    """A file's content as plain values, the line of each place, and what is wrong so far."""

    file: str
    data: Any
    lines: Mapping[Place, int] = attrs.field(factory=dict, repr=False)
    problems: tuple[Problem, ...] = ()

    def line_of(self, place: Place) -> int | None:
        """The line of a place, or of the nearest place above it that has one."""
        while place:
            if place in self.lines:
                return self.lines[place]
            place = place[:-1]
        return None

    def problem(self, place: Place, reason: str) -> Problem:
        """Something wrong at a place of this document."""
        return Problem(self.file, path_text(place), reason, self.line_of(place))


class _Lines(Mapping[Place, int]):
    """The lines of a text that is in order, found out when one is asked for."""

    def __init__(self, text: str, file: str) -> None:
        self._text = text
        self._file = file
        self._found: Mapping[Place, int] | None = None

    def _all(self) -> Mapping[Place, int]:
        if self._found is None:
            self._found = _read_document(self._text, self._file).lines
        return self._found

    def __getitem__(self, place: Place) -> int:
        return self._all()[place]

    def __iter__(self) -> Iterator[Place]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())


def read_yaml(path: str) -> Document:
    """The one document of a file. Raises `ConfigError` for what cannot be read at all."""
    try:
        with open(path, "rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except OSError as error:
        reason = error.strerror or str(error)
        raise _refused(path, f"cannot be read: {reason}; check the path and its mode") from error
    return parse_yaml(content, path)


def parse_yaml(content: bytes, file: str) -> Document:
    """The one document of ``content``; ``file`` is what problems call it."""
    if len(content) > MAX_BYTES:
        raise _refused(file, f"has more than {MAX_BYTES} bytes; split it")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise _refused(file, "is not UTF-8 text; save it as UTF-8", line) from error
    try:
        return Document(file, plain_data(text), _Lines(text, file))
    except (UnusualError, yaml.YAMLError):
        pass
    try:
        _check_events(text, file)
        return _read_document(text, file)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        what = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error)
        at = None if mark is None else mark.line + 1
        raise _refused(file, f"is not YAML: {what}", at) from error


def _refused(file: str, reason: str, line: int | None = None) -> ConfigError:
    return ConfigError([Problem(file, "", reason, line)])


def _check_events(text: str, file: str) -> None:
    """Count before anything is built: C code composes recursively, so depth comes first."""
    depth = nodes = aliases = documents = 0
    for event in yaml.parse(text, Loader=LOADER):
        line = event.start_mark.line + 1 if event.start_mark else None
        if isinstance(event, yaml.DocumentStartEvent):
            documents += 1
            if documents > 1:
                raise _refused(file, "has several documents (---); keep one a file", line)
        if isinstance(event, yaml.NodeEvent):
            nodes += 1
            aliases += isinstance(event, yaml.AliasEvent)
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH:
            raise _refused(file, f"is nested deeper than {MAX_DEPTH} levels", line)
        if nodes > MAX_NODES:
            raise _refused(file, f"has more than {MAX_NODES} values; split it", line)
        if aliases > MAX_ALIASES:
            raise _refused(file, f"uses more than {MAX_ALIASES} aliases (*name)", line)


def _read_document(text: str, file: str) -> Document:
    loader = LOADER(text)
    try:
        root = loader.get_single_node()
        if root is None:
            return Document(file, None)
        builder = _Builder(loader, file)
        builder.measure(root)
        data = builder.build(root, ())
        return Document(file, data, builder.lines, tuple(builder.problems))
    finally:
        loader.dispose()


class _Builder:
    """Nodes to plain values, noting the line of every place."""

    def __init__(self, loader: Any, file: str) -> None:
        self._loader = loader
        self._file = file
        self._sizes: dict[int, tuple[int, int]] = {}
        self.lines: dict[Place, int] = {}
        self.problems: list[Problem] = []

    def measure(self, node: yaml.Node) -> tuple[int, int]:
        """How many values and levels a node has once its aliases are written out.

        Linear in the text, because each node is measured once: a YAML bomb is never expanded.
        """
        if id(node) in self._sizes:
            size, height = self._sizes[id(node)]
            if size == 0:
                raise self._refuse(node, "has an alias that contains itself")
            return size, height
        self._sizes[id(node)] = (0, 0)
        size, height = 1, 0
        for child in _children(node):
            child_size, child_height = self.measure(child)
            size += child_size
            height = max(height, child_height + 1)
        if size > MAX_NODES:
            raise self._refuse(node, f"has more than {MAX_NODES} values once aliases are followed")
        if height > MAX_DEPTH:
            raise self._refuse(node, f"is nested deeper than {MAX_DEPTH} levels")
        self._sizes[id(node)] = (size, height)
        return size, height

    def build(self, node: yaml.Node, place: Place) -> Any:
        """The value of a node at a place."""
        self.lines.setdefault(place, node.start_mark.line + 1)
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, place)
        if isinstance(node, yaml.SequenceNode) and node.tag == TAG + "seq":
            return [self.build(child, (*place, i)) for i, child in enumerate(node.value)]
        if isinstance(node, yaml.MappingNode) and node.tag == TAG + "map":
            return self._mapping(node, place)
        self._problem(node, place, f"has the tag {shown(node.tag)}, which is not allowed")
        return None

    def _scalar(self, node: yaml.ScalarNode, place: Place) -> Any:
        if node.tag == MERGE or node.tag == TAG + "value":
            return node.value
        if node.tag not in SCALARS:
            self._problem(node, place, f"has the tag {shown(node.tag)}, which is not allowed")
            return None
        if node.tag != TEXT and len(node.value) > MAX_NUMBER_LENGTH:
            self._problem(node, place, "is too long for a number or a date; quote it if it is text")
            return None
        try:
            return self._loader.construct_object(node)
        except (ValueError, OverflowError, KeyError) as error:
            if node.tag == TIMESTAMP:
                return node.value  # 2026-02-30: a field that wants a date will say what is wrong
            self._problem(node, place, f"cannot be read: {error}; quote it if it is text")
            return None

    def _mapping(self, node: yaml.MappingNode, place: Place) -> dict[Any, Any]:
        own: dict[Any, Any] = {}
        merged: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            if key_node.tag == MERGE:
                for source in self._merge_sources(value_node, place):
                    for key, value in self._mapping(source, place).items():
                        merged.setdefault(key, value)
                continue
            key = self._key(key_node, place)
            here = (*place, key if isinstance(key, str | int) else str(key))
            if key in own:
                first = self.lines.get(here)
                self._problem(key_node, here, f"is there twice, first in line {first}; remove one")
                continue
            self.lines[here] = key_node.start_mark.line + 1
            own[key] = self.build(value_node, here)
        return {**merged, **own}

    def _key(self, node: yaml.Node, place: Place) -> Hashable:
        if isinstance(node, yaml.ScalarNode):
            key: Hashable = self._scalar(node, place)
            return str(key) if isinstance(key, date | float) else key
        self._problem(node, place, "has a key that is a list or a mapping; use plain text")
        return f"line {node.start_mark.line + 1}"

    def _merge_sources(self, node: yaml.Node, place: Place) -> Iterator[yaml.MappingNode]:
        nodes = node.value if isinstance(node, yaml.SequenceNode) else [node]
        for one in nodes:
            if isinstance(one, yaml.MappingNode):
                yield one
            else:
                self._problem(one, place, "merges (<<) something that is no mapping")

    def _problem(self, node: yaml.Node, place: Place, reason: str) -> None:
        line = node.start_mark.line + 1
        self.problems.append(Problem(self._file, path_text(place), reason, line))

    def _refuse(self, node: yaml.Node, reason: str) -> ConfigError:
        return _refused(self._file, reason, node.start_mark.line + 1)


def _children(node: yaml.Node) -> Iterator[yaml.Node]:
    if isinstance(node, yaml.SequenceNode):
        yield from node.value
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield key
            yield value


def parse_value(text: str) -> Any:
    """A variable's text as the YAML value it stands for; the text itself if it is none."""
    try:
        document = parse_yaml(text.encode(), "")
    except (ConfigError, UnicodeEncodeError):
        return text
    return text if document.problems else document.data
