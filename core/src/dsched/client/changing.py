"""What the client does to a config that is there: it is paused, resumed, deleted."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from dsched.client.asking import ConflictError, NotFoundError, RefusedError
from dsched.client.limits import Limits
from dsched.client.rearming import planned_change
from dsched.contracts.store.bounds import MAX_BATCH
from dsched.contracts.store.configs import Rearm, StoredConfig
from dsched.contracts.store.outcomes import Outcome
from dsched.contracts.store.reading import TaskQuery
from dsched.model import ORPHAN, SkipReason, rfc3339_ms, to_ms

MOVED_TRIES = 20
LATER_KEYS_SINCE = 4  # the format of the store that has calendars, runs, pauses that end


class Changing(Limits):
    """The acts on a config that is there."""

    async def delete_config(
        self,
        config_id: str,
        *,
        cancel_tasks: bool = False,
        origin: str | None = None,
        why: str = "",
    ) -> None:
        """Remove a config. Its live tasks finish, unless they are to be cancelled too, and say
        ``why``.

        With ``origin``: only if it is of this one (``origin_conflict``).
        """
        await self._change(
            config_id,
            SkipReason.DELETED,
            lambda rearm: self._store.delete(config_id, rearm, by=self._by),
            rearmed=False,
            origin=origin,
        )
        if cancel_tasks:
            await self._cancel_live(
                config_id, f"config deleted: {why}" if why else "config deleted"
            )

    async def pause_config(
        self, config_id: str, *, why: str = "", until: datetime | timedelta | None = None
    ) -> None:
        """Pause a config: nothing fires until it is resumed. Pausing again changes nothing.

        With ``until``, an instant or a span from now, it resumes by itself then; that instant
        fires, if it is one. Of a config that is paused already this is the new end, or its end is
        taken away. `RefusedError`: the instant has come, or the store's format knows no such end.
        """
        until_ms = None if until is None else await self._end_of_pause(until)
        await self._change(
            config_id,
            SkipReason.PAUSED,
            lambda rearm: self._store.pause(
                config_id, rearm, by=self._by, why=why, until_ms=until_ms
            ),
            rearmed=False,
            asked=(self._by, why),
        )

    async def _end_of_pause(self, until: datetime | timedelta) -> int:
        """The instant until which a config is to be paused; it lies ahead."""
        stored = (await self._answered(self._store.store_format)).stored
        if stored < LATER_KEYS_SINCE:
            raise RefusedError(
                Outcome.OLDER,
                f"a pause that ends by itself {needs_format(stored)}; or pause without an end",
            )
        now_ms = (await self._answered(self._store.now)).wall_ms
        if isinstance(until, timedelta):
            until_ms = now_ms + until // timedelta(milliseconds=1)
        else:
            until_ms = to_ms(until)
        if until_ms <= now_ms:
            raise RefusedError(
                Outcome.TOO_LATE,
                f"{rfc3339_ms(until_ms)} has come: name an instant that lies ahead, or resume it",
            )
        return until_ms

    async def orphan_config(self, config_id: str, *, origin: str) -> None:
        """Pause a config that its ``origin`` no longer declares, in the name of `ORPHAN`.

        Changes nothing if it is paused already; ``origin_conflict`` if it is of another origin.
        """
        why = f"{origin} no longer declares it, says {self._by}"
        await self._change(
            config_id,
            SkipReason.PAUSED,
            lambda rearm: self._store.pause(config_id, rearm, by=ORPHAN, why=why),
            rearmed=False,
            origin=origin,
            asked=(ORPHAN, why),
        )

    async def resume_config(self, config_id: str) -> None:
        """End a pause; the instants of its gap are recorded as skipped."""
        await self._change(
            config_id,
            SkipReason.PAUSED,
            lambda rearm: self._store.resume(config_id, rearm, by=self._by),
            rearmed=True,
        )

    async def _change(
        self,
        config_id: str,
        reason: SkipReason,
        step: Callable[[Rearm], Awaitable[Outcome]],
        *,
        rearmed: bool,
        origin: str | None = None,
        asked: tuple[str, str] = ("", ""),
    ) -> None:
        """Read, plan, compare-and-change; again if somebody else changed it meanwhile."""
        for _ in range(MOVED_TRIES):
            stored = await self.get_config(config_id)
            now_ms = (await self._answered(self._store.now)).wall_ms  # after it, as in `put_config`
            if origin is not None:
                check_origin(stored, origin)
            rearm = planned_change(stored, now_ms, reason, rearmed=rearmed, asked=asked)
            outcome = await self._answered(lambda: step(rearm))  # noqa: B023
            if outcome in (Outcome.OK, Outcome.ALREADY):
                return
            if outcome is Outcome.UNKNOWN:
                if reason is SkipReason.DELETED:
                    return  # it was there a moment ago: gone by this call, or by another
                raise NotFoundError(outcome, f"there is no config {config_id}")
        raise moved_error(config_id)

    async def _cancel_live(self, config_id: str, reason: str) -> None:
        query, cursor = TaskQuery(live_of=config_id), None
        while True:
            page = await self._answered(
                lambda: self._store.list_tasks(query, cursor, MAX_BATCH)  # noqa: B023
            )
            ids = [task.id for task in page.tasks]
            if ids:
                await self._answered(
                    lambda: self._store.cancel(ids, by=self._by, reason=reason)  # noqa: B023
                )
            cursor = page.cursor
            if cursor is None:
                return


def check_origin(stored: StoredConfig | None, origin: str) -> None:
    """Raise `ConflictError` ``origin_conflict`` if another origin declares what is stored."""
    if stored is not None and stored.config.origin != origin:
        raise ConflictError(
            "origin_conflict",
            f"config {stored.config.id} is declared by {stored.config.origin}, not by {origin}; "
            "change it there, or take it over: adopt=True of put_config, ?adopt=true of the HTTP "
            "API, --adopt of dsched-run and dsched apply",
        )


def moved_error(config_id: str) -> ConflictError:
    """Others changed it all the time."""
    return ConflictError(
        Outcome.MOVED,
        f"config {config_id} was changed by others {MOVED_TRIES} times meanwhile; try again",
    )


def needs_format(stored: int) -> str:
    """What to say of what a store of this format does not take yet."""
    return (
        f"needs a store of format {LATER_KEYS_SINCE}, and this one has {stored}: older "
        "pods would fire as if it were not there; run `dsched store migrate` when all "
        "pods run this version"
    )
