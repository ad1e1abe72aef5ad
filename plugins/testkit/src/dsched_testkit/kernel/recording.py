"""A store that keeps its own books beside its content, for the checker to compare."""

from collections.abc import Sequence

import attrs

from dsched.contracts.store.configs import ConfigVersion, PutAnswer, PutConfig, Rearm
from dsched.contracts.store.firing import Fire, FireAnswer
from dsched.contracts.store.outcomes import Outcome
from dsched.contracts.store.recovering import Reap
from dsched.contracts.store.workers import HeartbeatAnswer, Held, Registration
from dsched.contracts.store.working import Claimed
from dsched.model import TaskConfig
from dsched_testkit.memory import MemoryStore, State


@attrs.frozen(kw_only=True)
class Act:
    """A change of a config that the store accepted. ``boundary_ms``: accounted for up to it."""

    config_id: str
    act: str
    position: int
    boundary_ms: int
    config: TaskConfig | None = None


@attrs.frozen(kw_only=True)
class TakenAway:
    """An attempt that a leader took away; until when (store time) its lease was, if it had one."""

    task_id: str
    position: int
    at_ms: int
    lease_until_ms: int | None


@attrs.define(kw_only=True)
class Books:
    """What was accepted, kept apart from the store's own content."""

    acts: list[Act] = attrs.field(factory=list)
    skips: list[tuple[int, str, int]] = attrs.field(factory=list)
    leases: dict[tuple[str, str], int] = attrs.field(factory=dict)
    taken: list[TakenAway] = attrs.field(factory=list)


class RecordedStore(MemoryStore):
    """The reference store. What it accepts is written down, on each handle in the same books."""

    def __init__(self, state: State, books: Books) -> None:
        super().__init__(state)
        self._books = books

    async def put(self, items: Sequence[PutConfig], *, by: str) -> tuple[PutAnswer, ...]:
        """As the store."""
        answers = await super().put(items, by=by)
        for item, answer in zip(items, answers, strict=True):
            if answer.outcome is Outcome.OK and answer.stored is not None:
                config = answer.stored.config
                self._book_act(config.id, "put", item.rearm, config)
        return answers

    async def delete(self, config_id: str, rearm: Rearm, *, by: str) -> Outcome:
        """As the store."""
        outcome = await super().delete(config_id, rearm, by=by)
        return self._book_change(config_id, "deleted", rearm, outcome)

    async def pause(
        self, config_id: str, rearm: Rearm, *, by: str, why: str, until_ms: int | None = None
    ) -> Outcome:
        """As the store."""
        outcome = await super().pause(config_id, rearm, by=by, why=why, until_ms=until_ms)
        return self._book_change(config_id, "paused", rearm, outcome)

    async def resume(self, config_id: str, rearm: Rearm, *, by: str) -> Outcome:
        """As the store."""
        outcome = await super().resume(config_id, rearm, by=by)
        return self._book_change(config_id, "resumed", rearm, outcome)

    async def fire(self, fence: str, fires: Sequence[Fire]) -> tuple[FireAnswer, ...]:
        """As the store; a pause that it ends is accounted for up to the instant that ended it, or
        as far as an edit since then has been; one that it begins as the leader planned it."""
        before = {fire.config_id: self._state.configs.get(fire.config_id) for fire in fires}
        views = {key: row.view() for key, row in before.items() if row is not None}
        versions = {key: view.version for key, view in views.items()}
        gaps_ms = {key: one.paused.gap_from_ms for key, one in views.items() if one.paused}
        answers = await super().fire(fence, fires)
        for fire, answer in zip(fires, answers, strict=True):
            read = versions.get(fire.config_id, ConfigVersion())
            if fire.resumes:
                gap_from_ms = gaps_ms.get(fire.config_id, 0)
                rearm = Rearm(read=read, upto_ms=max(fire.due_ms - 1, gap_from_ms))
                self._book_change(fire.config_id, "resumed", rearm, answer.outcome)
            elif fire.pause is not None:
                rearm = Rearm(read=read, upto_ms=fire.pause.upto_ms)
                self._book_change(fire.config_id, "paused", rearm, answer.outcome)
        return answers

    async def skip(
        self, config_id: str, revision: int, instants: Sequence[int], *, by: str, why: str
    ) -> Outcome:
        """As the store; what is to be skipped is remembered."""
        outcome = await super().skip(config_id, revision, instants, by=by, why=why)
        if outcome is Outcome.OK:
            position = self._state.last_cursor
            self._books.skips += [(position, config_id, at_ms) for at_ms in instants]
        return outcome

    async def register(self, worker: Registration) -> Outcome:
        """As the store; a takeover makes the leases of whoever had the id before over."""
        before = self._state.workers.get(worker.worker_id)
        outcome = await super().register(worker)
        if outcome is Outcome.OK and before and before.incarnation != worker.incarnation:
            for task_id, token in self._books.leases:
                owner, incarnation, _lane, _number = token.rsplit(".", 3)
                if owner == worker.worker_id and incarnation != worker.incarnation:
                    self._books.leases[task_id, token] = 0
        return outcome

    async def claim(
        self, worker_id: str, incarnation: str, lane: int, number: int, limit: int
    ) -> Claimed:
        """As the store; each task gets a lease."""
        claimed = await super().claim(worker_id, incarnation, lane, number, limit)
        self._book_leases(worker_id, [(task.id, claimed.token) for task in claimed.tasks])
        return claimed

    async def heartbeat(
        self, worker_id: str, incarnation: str, held: Sequence[Held]
    ) -> HeartbeatAnswer:
        """As the store; what is not lost has its lease renewed."""
        answer = await super().heartbeat(worker_id, incarnation, held)
        kept = [(h.task_id, h.token) for h in held if h.task_id not in answer.lost]
        self._book_leases(worker_id, kept)
        return answer

    async def reap(self, fence: str, items: Sequence[Reap]) -> tuple[Outcome, ...]:
        """As the store; what is taken away is remembered with the end of its lease."""
        outcomes = await super().reap(fence, items)
        now_ms = self._state.mark_ms
        for item, outcome in zip(items, outcomes, strict=True):
            if outcome is Outcome.OK:
                until_ms = self._books.leases.get((item.task_id, item.token))
                self._books.taken.append(
                    TakenAway(
                        task_id=item.task_id,
                        position=self._state.last_cursor,
                        at_ms=now_ms,
                        lease_until_ms=until_ms,
                    )
                )
        return outcomes

    def _book_leases(self, worker_id: str, attempts: Sequence[tuple[str, str]]) -> None:
        row = self._state.workers.get(worker_id)
        timeout_ms = 30_000 if row is None else row.heartbeat_timeout_ms
        for key in attempts:
            self._books.leases[key] = self._state.mark_ms + timeout_ms

    def _book_change(self, config_id: str, act: str, rearm: Rearm, outcome: Outcome) -> Outcome:
        if outcome is Outcome.OK:
            row = self._state.configs.get(config_id)
            self._book_act(config_id, act, rearm, None if row is None else row.config)
        return outcome

    def _book_act(self, config_id: str, act: str, rearm: Rearm, config: TaskConfig | None) -> None:
        # The caller's reading of the clock may be older than a fire it read.
        boundary_ms = max(rearm.upto_ms, rearm.read.last_fired_ms or 0)
        position = self._state.last_cursor
        self._books.acts.append(
            Act(
                config_id=config_id,
                act=act,
                position=position,
                boundary_ms=boundary_ms,
                config=config,
            )
        )
