"""Text from elsewhere, made safe for a terminal: no escape sequence and no control character."""

import re
from typing import Any

# CSI, then OSC/DCS/SOS/PM/APC with their text, then any other escape; 8-bit forms as well.
_ESCAPES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d\x9e\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"
    r"|\x1b[ -/]*[0-~]?"
)
# Also the marks that change a text's direction: they make one id look like another.
_CONTROLS = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
_JSON_CONTROLS = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def clean(value: object) -> str:
    """A value as one line of text: escape sequences are gone, other controls are spelt out."""
    text = value if isinstance(value, str) else str(value)
    if text.isascii() and text.isprintable():
        return text
    text = _ESCAPES.sub("", text)
    return _CONTROLS.sub(_spelt, text.replace("\t", " "))


def clean_json(text: str) -> str:
    """A JSON text whose strings carry no raw control character; the value stays the same."""
    return _JSON_CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def clean_block(text: str) -> str:
    """Several lines, each cleaned."""
    return "\n".join(clean(line) for line in text.splitlines())


def _spelt(found: "re.Match[str]") -> str:
    return repr(found[0])[1:-1]


def plain(value: Any) -> Any:
    """A structure with every text in it cleaned, for formats that do not escape by themselves."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict):
        return {clean(key): plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value
