"""Bounds on what is open at one time, in all and for each principal: none can take everything."""

from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from dsched_api_http.problems import Problem


class Shares:
    """How many of a kind are open, no more than may be, and no more of one principal than its
    share.

    ``setting`` bounds all of them, ``{setting}_by_token`` those of one token.
    """

    def __init__(self, what: str, setting: str, most: int, share: int) -> None:
        self._what = what
        self._setting = setting
        self._most = most
        self._share = share
        self._by_principal: Counter[str] = Counter()

    @property
    def open(self) -> int:
        """How many there are."""
        return self._by_principal.total()

    def one_more(self, principal_id: str) -> AbstractContextManager[None]:
        """Count one while it is open; raises `Problem` 429."""
        if self._by_principal[principal_id] >= self._share:
            raise self._too_many(
                f"this token has {self._share} {self._what} open, its share", "_by_token"
            )
        if self.open >= self._most:
            raise self._too_many(
                f"as many {self._what} are open as there may be ({self._most})", ""
            )
        return self._counted(principal_id)

    def _too_many(self, detail: str, suffix: str) -> Problem:
        return Problem(
            "too_many_requests",
            detail,
            hint=f"close some, or raise {self._setting}{suffix}",
            headers={"Retry-After": "10"},
        )

    @contextmanager
    def _counted(self, principal_id: str) -> Iterator[None]:
        self._by_principal[principal_id] += 1
        try:
            yield
        finally:
            self._by_principal[principal_id] -= 1
            if not self._by_principal[principal_id]:
                del self._by_principal[principal_id]
