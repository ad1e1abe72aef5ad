"""Which stores this process works on: one that it has seen must not be silently made anew."""

import threading
from collections import Counter
from typing import Self

import attrs

from dsched_store_redis.options import RedisOptions

_Key = tuple[object, ...]
_seen: Counter[_Key] = Counter()
_lock = threading.Lock()


@attrs.define
class Known:
    """One handle's part in what its process knows. Forgotten with the last handle on the store."""

    _key: _Key
    meta_key: bytes
    _counted: bool = False

    @classmethod
    def by(cls, options: RedisOptions) -> Self:
        """What is known of the store that these options name."""
        nodes = () if options.cluster is None else tuple(options.cluster.nodes)
        sentinel = options.sentinel
        named = () if sentinel is None else (sentinel.master, tuple(sentinel.nodes))
        where = (options.url, options.addr, options.db, options.key_prefix, nodes, named)
        return cls(where, f"{options.key_prefix}meta".encode())

    @property
    def seen(self) -> bool:
        """Whether a handle of this process has found the store, and is open."""
        with _lock:
            return _seen[self._key] > 0

    def see(self) -> None:
        """This handle has found the store, or made it."""
        with _lock:
            _seen[self._key] += 1
        self._counted = True

    def leave(self) -> None:
        """This handle is closed."""
        if self._counted:
            with _lock:
                _seen[self._key] -= 1
                if not _seen[self._key]:
                    del _seen[self._key]
