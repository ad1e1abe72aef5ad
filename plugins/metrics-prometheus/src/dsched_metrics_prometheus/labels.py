"""A cap on label values: each distinct one costs memory here and in Prometheus, for ever."""

OTHER = "other"


class LabelCap:
    """Lets the first ``limit`` distinct values through; all further ones become ``other``."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._known: set[str] = set()

    def value(self, value: str) -> str:
        """The value itself, or ``other``."""
        if value in self._known:
            return value
        if len(self._known) >= self._limit:
            return OTHER
        self._known.add(value)
        return value
