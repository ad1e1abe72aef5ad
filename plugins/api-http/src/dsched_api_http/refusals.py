"""Refusals of one kind are counted together: the first is told at once, the others once a minute.
Pure."""

from collections import OrderedDict

import attrs

from dsched_api_http.acts import Act

WINDOW_S = 60.0
MAX_KEPT = 1000


@attrs.frozen
class Kind:
    """Who was refused what, and how."""

    principal: str
    action: str
    outcome: str


@attrs.define
class _Counted:
    until_s: float
    count: int
    last: Act


@attrs.frozen
class Several:
    """So many refusals of a kind since they were told last, and the last of them."""

    kind: Kind
    count: int
    last: Act


class Refusals:
    """Counts refusals that are not told one by one; by kind, for a minute each."""

    def __init__(self) -> None:
        self._counted: OrderedDict[Kind, _Counted] = OrderedDict()
        self._pushed_out: list[Several] = []

    def first(self, kind: Kind, act: Act, now_s: float) -> bool:
        """Whether this one is told by itself; else it is counted."""
        known = self._counted.get(kind)
        if known is not None:
            known.count += 1
            known.last = act
            return False
        self._counted[kind] = _Counted(now_s + WINDOW_S, 0, act)
        if len(self._counted) > MAX_KEPT:
            self._pushed_out += _several(*self._counted.popitem(last=False))
        return True

    def due(self, now_s: float) -> list[Several]:
        """What is to be told now; what has gone on is counted for another minute."""
        found, self._pushed_out = self._pushed_out, []
        for kind in [one for one, known in self._counted.items() if known.until_s <= now_s]:
            known = self._counted.pop(kind)
            found += _several(kind, known)
            if known.count:
                self._counted[kind] = _Counted(now_s + WINDOW_S, 0, known.last)
        return found

    def rest(self) -> list[Several]:
        """All that is not told yet."""
        found, self._pushed_out = self._pushed_out, []
        for kind, known in self._counted.items():
            found += _several(kind, known)
        self._counted.clear()
        return found


def _several(kind: Kind, known: _Counted) -> list[Several]:
    return [Several(kind, known.count, known.last)] if known.count else []
