"""Credentials and permissions refused at run time: logged once, tried again with back-off."""

import asyncio
import random

import attrs

from dsched_store_redis.conditions import CONDITIONS
from dsched_store_redis.credentials import Credentials

FIRST_PAUSE_S = 0.25
LONGEST_PAUSE_S = 5.0


@attrs.frozen(kw_only=True)
class _Refusal:
    error: Exception
    presented: Credentials
    pause_s: float
    until_s: float


class Denials:
    """What one handle was refused.

    A caller asks `standing` before it dials. So a server that has refused credentials is not asked
    again at once by each call, but it is as soon as there are other credentials to present.
    """

    def __init__(self) -> None:
        self._refusal: _Refusal | None = None
        self._steps: dict[str, tuple[str, str]] = {}

    def standing(self, presented: Credentials) -> Exception | None:
        """The refusal that makes it pointless to dial now, or None."""
        refusal = self._refusal
        if refusal is None or refusal.presented != presented:
            return None
        now_s = asyncio.get_running_loop().time()
        return refusal.error if now_s < refusal.until_s else None

    def refused(self, error: Exception, presented: Credentials, where: str) -> None:
        """A connection was refused for what it presented."""
        before = self._refusal
        pause_s = FIRST_PAUSE_S if before is None else min(LONGEST_PAUSE_S, 2 * before.pause_s)
        until_s = asyncio.get_running_loop().time() + pause_s * random.uniform(0.5, 1.0)
        self._refusal = _Refusal(error=error, presented=presented, pause_s=pause_s, until_s=until_s)
        CONDITIONS.begins(
            ("credentials", where),
            self,
            "store degraded: Redis at %s refuses the credentials (%s): correct redis.username and "
            "redis.password, or the file that holds them; still trying",
            where,
            error,
        )

    def admitted(self, where: str) -> None:
        """A connection was made."""
        if self._refusal is not None:
            self._refusal = None
            text = "Redis at %s accepts the credentials again"
            CONDITIONS.over(("credentials", where), self, text, where)

    def step_refused(self, step: str, error: Exception, where: str) -> None:
        """A step was refused for want of a permission."""
        what = ("permission", where)
        self._steps[step] = what
        CONDITIONS.begins(
            what,
            (self, step),
            "store degraded: Redis at %s refuses steps to its user (%s): grant what the example "
            "ACL file of this plugin lists; still trying",
            where,
            error,
        )

    def step_done(self, step: str) -> None:
        """A step was run."""
        if self._steps and step in self._steps:
            what = self._steps.pop(step)
            text = "Redis at %s grants its user what was refused"
            CONDITIONS.over(what, (self, step), text, what[1])

    def close(self) -> None:
        """The handle is closed."""
        CONDITIONS.leave(self)
        for step in self._steps:
            CONDITIONS.leave((self, step))
