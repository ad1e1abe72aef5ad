"""How explanations write spans and numbers."""

_UNITS = (("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1000))


def span(ms: int) -> str:
    """``3 ms``, ``2.5 s``, ``3 min``, ``1.2 d``."""
    for unit, size in _UNITS:
        if ms >= size:
            return f"{ms / size:.3g} {unit}" if ms < 100 * size else f"{ms // size} {unit}"
    return f"{ms} ms"


def plural(number: int, word: str) -> str:
    """``1 worker``, ``3 workers``."""
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def last_line(text: str, length: int = 300) -> str:
    """The last line of an error that says anything, cut to a readable length."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:length] if lines else ""
