"""Templates: texts of a payload with references, such as ``${needs.load.data.rows}``.

A reference is a path and nothing else: no expressions. A text that is one reference takes the
type of what it names. ``$${`` stands for ``${``. Keys are literals, and what was put in is not
looked at again.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence

from dsched.model.json import JsonValue, NotJsonError, check_json, dumps

MAX_RENDERED_BYTES = 256 * 1024  # of what one reference names, and of a rendered payload
_FOUND = re.compile(r"\$\$\{|\$\{([^{}]*)\}?")
_PATH = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]+)*")
# What an executor would resolve for a payload whose author wrote it; from elsewhere it is refused.
_SECRET = "secret://"  # noqa: S105 - the mark of a reference
_LITERAL = "$${"

Path = tuple[str, ...]


class TemplateError(ValueError):
    """A template that cannot be read, or a reference that names nothing, or too much."""


def references(value: JsonValue) -> tuple[Path, ...]:
    """The references in the texts of a payload, each once; `TemplateError` for what is none."""
    found: dict[Path, None] = {}
    for text in _texts(value):
        for match in _FOUND.finditer(text):
            if match[0] != _LITERAL:
                found[_path(match)] = None
    return tuple(found)


def only_reference(text: str) -> Path | None:
    """The reference that all of a text is; None where it is none, or more than that."""
    whole = _FOUND.fullmatch(text)
    return None if whole is None or whole[0] == _LITERAL else _path(whole)


def has_templates(value: JsonValue) -> bool:
    """Whether a payload has anything to render."""
    return any("${" in text for text in _texts(value))


def escaped(value: JsonValue) -> JsonValue:
    """A template that is rendered to this value, whatever its texts look like."""
    if isinstance(value, str):
        return value.replace("${", _LITERAL)
    if isinstance(value, Mapping):
        return {key: escaped(item) for key, item in value.items()}
    if isinstance(value, Sequence):
        return [escaped(item) for item in value]
    return value


def mentions_secret(value: JsonValue) -> bool:
    """Whether a value would be taken for a reference to a secret, if it stood in a payload."""
    return any(_SECRET in text for text in _texts(value))


def render(value: JsonValue, resolve: Callable[[Path], JsonValue]) -> JsonValue:
    """The payload with the value of each reference in its place; `TemplateError`."""
    rendered = _rendered(value, resolve)
    try:
        check_json(rendered, "the rendered payload", MAX_RENDERED_BYTES)
    except NotJsonError as error:
        raise TemplateError(str(error)) from None
    return rendered


def look_up(scope: Mapping[str, JsonValue], path: Path) -> JsonValue:
    """What a path names; `TemplateError` says at which word it ends, and what there is."""
    value: JsonValue = scope
    for at, word in enumerate(path):
        if isinstance(value, Mapping) and word in value:
            value = value[word]
        elif isinstance(value, list) and word.isdigit() and int(word) < len(value):
            value = value[int(word)]
        else:
            before = ".".join(path[:at]) or "a template"
            raise TemplateError(
                f"${{{'.'.join(path)}}} names nothing: {before} {_what_there_is(value, word)}"
            )
    return value


def _what_there_is(value: JsonValue, word: str) -> str:
    if isinstance(value, Mapping):
        some = ", ".join(sorted(map(str, value))[:10])
        return f"has no {word!r}; it has {some or 'nothing'}"
    if isinstance(value, list):
        return f"is a list of {len(value)}, and has no {word!r}"
    return f"is {'nothing' if value is None else 'a ' + type(value).__name__}, without parts"


def _rendered(value: JsonValue, resolve: Callable[[Path], JsonValue]) -> JsonValue:
    if isinstance(value, str):
        return _text(value, resolve) if "${" in value else value
    if isinstance(value, Mapping):
        return {key: _rendered(item, resolve) for key, item in value.items()}
    if isinstance(value, Sequence):
        return [_rendered(item, resolve) for item in value]
    return value


def _text(text: str, resolve: Callable[[Path], JsonValue]) -> JsonValue:
    whole = only_reference(text)
    if whole is not None:
        return _resolved(whole, resolve)[0]

    def put_in(match: re.Match[str]) -> str:
        if match[0] == _LITERAL:
            return "${"
        value, written = _resolved(_path(match), resolve)
        return value if isinstance(value, str) else written

    return _FOUND.sub(put_in, text)


def _resolved(path: Path, resolve: Callable[[Path], JsonValue]) -> tuple[JsonValue, str]:
    """What a reference names, and its text as JSON."""
    value, name = resolve(path), f"${{{'.'.join(path)}}}"
    text = dumps(value)
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > MAX_RENDERED_BYTES:
        raise TemplateError(
            f"{name} has {size} bytes; at most {MAX_RENDERED_BYTES} can be referred to: "
            "hand on where it is, not what it is"
        )
    if _SECRET in text:
        raise TemplateError(
            f"{name} mentions a secret reference, which only the payload's author may write"
        )
    return value, text


def _path(match: re.Match[str]) -> Path:
    text = match[1].strip()
    if not match[0].endswith("}"):
        raise TemplateError(f"{match[0][:40]!r} is not closed; write $${{ for a literal ${{")
    if not _PATH.fullmatch(text):
        raise TemplateError(
            f"{match[0][:60]!r} is no reference, which is a path such as ${{needs.a.data.rows}}; "
            "write $${ for a literal ${"
        )
    return tuple(text.split("."))


def _texts(value: JsonValue) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, Sequence):
        for item in value:
            yield from _texts(item)
