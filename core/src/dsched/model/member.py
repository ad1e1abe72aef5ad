"""`Member`: what a member's snapshot says of the run that it belongs to."""

from collections.abc import Mapping
from types import MappingProxyType

import attrs

from dsched.model.json import JsonValue
from dsched.model.resumption import Taken

NO_PARTS = -1
_NOTHING: Mapping[str, int] = MappingProxyType({})


@attrs.frozen(kw_only=True)
class Member:
    """Which part of a run a task is.

    ``step`` is empty for the shards of a config without steps. ``index`` of ``total`` is the shard.
    ``instant_ms`` is the nominal instant of the run, ``timezone`` that of its config. ``needs`` are
    the steps whose results its payload refers to, with the number of their shards (0: none;
    `NO_PARTS`: it is of a list that had no items). ``item`` is that of the list at ``index``.
    ``taken`` are the members of these that ran in an earlier run.
    """

    step: str
    index: int | None = None
    total: int | None = None
    instant_ms: int = 0
    timezone: str = "UTC"
    needs: Mapping[str, int] = _NOTHING
    taken: tuple[Taken, ...] = ()
    item: JsonValue = None

    def run_of_need(self, step: str, index: int | None) -> str | None:
        """The earlier run in which this member of a step ran, None if it is of its own run."""
        found = (one.run_id for one in self.taken if one.step == step and one.has(index))
        return next(found, None)
