"""The log's constant phrases: in the stream each is one byte.

An item of the log is JSON, and most of it is the same in every item. The scripts are written with
the whole phrases; when they are assembled each becomes a control character, which never occurs
in a JSON text, and the reader of the log puts the phrases back.
"""

_PHRASES = (
    '{"task":"',
    '{"config":"',
    '","worker":"',
    '","attempt":',
    '","status":"',
    ',"why":',
    ',"code":',
    ',"run":',
    ',"reason":',
    ',"task":"',
    ',"late":',
    '","ms":',
)
_FIRST = 0x0E  # those before it are tab and line ends
_BY_BYTE = tuple((chr(_FIRST + at), phrase) for at, phrase in enumerate(_PHRASES))


def shorten(script: str) -> str:
    """A script whose literals have the bytes instead of the phrases."""
    for byte, phrase in _BY_BYTE:
        script = script.replace(phrase, f"\\{ord(byte):03d}")
    return script


def expand(items: str) -> str:
    """Items of the log as they are read, as JSON again."""
    for byte, phrase in _BY_BYTE:
        if byte in items:
            items = items.replace(byte, phrase)
    return items
