"""One answer for many who ask the same at the same time, where each says how old it may be."""

import asyncio
import contextvars
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Generic, TypeAlias, TypeVar

import attrs

MAX_KEPT = 256  # answers of a pod
MAX_BYTES = 1 << 20  # a larger answer is shared with those who wait for it, and not kept
MAX_ALL_BYTES = 16 << 20
MOST_S = 10.0  # an answer is kept for so long, however old it may be for somebody

_MAX_AGE = re.compile(r"(?:^|[\s,])max-age=([0-9]{1,6})(?:$|[\s,])", re.IGNORECASE)

T = TypeVar("T")
Key: TypeAlias = tuple[str, ...]


@attrs.frozen(kw_only=True)
class Given:
    """An answer that is sent more than once. ``calls`` is what it cost the store."""

    status: int
    body: bytes
    headers: Mapping[str, str]
    calls: int


@attrs.define(kw_only=True)
class _Asked(Generic[T]):
    began_s: float
    news: int
    task: asyncio.Task[T]
    size: int = 0


class SharedAnswers(Generic[T]):
    """The answers of the last moments. ``news`` counts what the pod has heard of: an answer from
    before the last news is given to nobody, so that who heard of it reads what it says.

    ``size`` is how many bytes an answer takes; without it none is kept, and those who ask at the
    same time share one all the same.
    """

    def __init__(
        self,
        news: Callable[[], int],
        size: Callable[[T], int] | None = None,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._news = news
        self._size = size
        self._monotonic = monotonic
        self._asked: OrderedDict[Key, _Asked[T]] = OrderedDict()

    async def answer(
        self, key: Key, max_age_s: float, ask: Callable[[], Coroutine[Any, Any, T]]
    ) -> tuple[T, bool, float]:
        """What ``ask`` answers, now or at most ``max_age_s`` ago; whether this very caller has
        caused it, and its age in seconds. Raises what ``ask`` raises.

        One question is asked for all who wait; it goes on when one of them leaves.
        """
        now_s = self._monotonic()
        known = self._asked.get(key)
        mine = known is None or not self._fits(known, now_s, max_age_s)
        if known is None or mine:
            # In no caller's context: one that gives up takes nothing from the others.
            task = asyncio.create_task(ask(), context=contextvars.Context())
            known = _Asked(began_s=now_s, news=self._news(), task=task)
            task.add_done_callback(lambda _: self._done(key, known))
            self._asked[key] = known
            self._asked.move_to_end(key)
            self._tidy(now_s)
        given = await asyncio.shield(known.task)
        return given, mine, max(0.0, self._monotonic() - known.began_s)

    def _fits(self, asked: _Asked[T], now_s: float, max_age_s: float) -> bool:
        return asked.news == self._news() and now_s < asked.began_s + min(max_age_s, MOST_S)

    def _done(self, key: Key, asked: _Asked[T]) -> None:
        """Keep what is good, and not too large."""
        task = asked.task
        failed = task.cancelled() or task.exception() is not None
        size = None if failed or self._size is None else self._size(task.result())
        if size is not None and size <= MAX_BYTES:
            asked.size = size
            self._tidy(self._monotonic())
        elif self._asked.get(key) is asked:
            del self._asked[key]

    def _tidy(self, now_s: float) -> None:
        """Forget the oldest: those too old for anybody, and those above the bounds."""
        held = sum(one.size for one in self._asked.values())
        while self._asked:
            key, first = next(iter(self._asked.items()))
            old = now_s >= first.began_s + MOST_S
            if not old and len(self._asked) <= MAX_KEPT and held <= MAX_ALL_BYTES:
                return
            held -= first.size
            del self._asked[key]


def max_age_of(header: str | None) -> float | None:
    """How old an answer may be, of a request's ``Cache-Control``; None where it must be new."""
    found = None if header is None else _MAX_AGE.search(header)
    return None if found is None or int(found[1]) == 0 else float(found[1])
