"""Many configs as the batches in which the API takes them."""

import json
from collections.abc import Iterable, Iterator

import attrs

from dsched.model import JsonValue, TaskConfig
from dsched_client.writing import Entry, entry_of

MAX_ITEMS = 100
MAX_BYTES = 900_000  # the API takes 1 MiB


@attrs.frozen
class ConfigBatch:
    """Configs of one origin (None: the API's own), each an entry with its ``id``."""

    origin: str | None
    items: tuple[Entry, ...]


def config_batches(
    configs: Iterable[TaskConfig | Entry], *, origin: str | None = None
) -> Iterator[ConfigBatch]:
    """All of them in their order, in as few batches as there can be.

    ``origin`` is that of all; without it a `TaskConfig` has its own.
    """
    items: list[Entry] = []
    size, of = 0, origin
    for config in configs:
        whose = origin or (config.origin if isinstance(config, TaskConfig) else None)
        item = _item(config)
        more = len(json.dumps(item, ensure_ascii=False).encode()) + 2
        if items and (whose != of or len(items) == MAX_ITEMS or size + more > MAX_BYTES):
            yield ConfigBatch(of, tuple(items))
            items, size = [], 0
        items.append(item)
        size, of = size + more, whose
    if items:
        yield ConfigBatch(of, tuple(items))


def _item(config: TaskConfig | Entry) -> dict[str, JsonValue]:
    if isinstance(config, TaskConfig):
        return {"id": config.id, **entry_of(config)}
    return entry_of(config)
