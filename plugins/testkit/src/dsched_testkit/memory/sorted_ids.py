"""Ids in the order of a key: what a sorted set is to the reference store."""

from bisect import bisect_left, insort
from collections.abc import Iterator
from typing import Any


class SortedIds:
    """Ids in the order of a key, with removal by id."""

    def __init__(self) -> None:
        self._keys: dict[str, Any] = {}
        self._order: list[tuple[Any, str]] = []

    def __len__(self) -> int:
        return len(self._order)

    def __contains__(self, item: str) -> bool:
        return item in self._keys

    def __iter__(self) -> Iterator[str]:
        return (item for _, item in self._order)

    def add(self, item: str, key: Any) -> None:
        """Put ``item`` at ``key``, moving it if it is there already."""
        self.discard(item)
        self._keys[item] = key
        insort(self._order, (key, item))

    def discard(self, item: str) -> None:
        """Remove ``item`` if it is there."""
        key = self._keys.pop(item, None)
        if key is not None:
            del self._order[bisect_left(self._order, (key, item))]

    def upto(self, key: Any, limit: int) -> list[str]:
        """The first ids whose key is at most ``key``."""
        found = []
        for at, item in self._order[:limit]:
            if at > key:
                break
            found.append(item)
        return found

    def first_after(self, key: Any) -> Any:
        """The first key greater than ``key``, or None."""
        index = bisect_left(self._order, (key, "\U0010ffff"))
        return self._order[index][0] if index < len(self._order) else None

    def count_before(self, key: Any) -> int:
        """How many ids have a key less than ``key``."""
        return bisect_left(self._order, (key, ""))

    def page(self, skip: int, limit: int) -> list[str]:
        """``limit`` ids from position ``skip`` on."""
        return [item for _, item in self._order[skip : skip + limit]]

    def key_of(self, item: str) -> Any:
        """The key of an id that is there."""
        return self._keys[item]
