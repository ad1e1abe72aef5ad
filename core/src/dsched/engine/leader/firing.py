"""The firing loop's step: due configs are planned purely and fired in batches."""

import asyncio
import logging
from collections.abc import Iterable, Sequence

import attrs

from dsched.client.rearming import planned_change, planned_resume
from dsched.contracts.observer import InvariantViolated
from dsched.contracts.store.bounds import MAX_BATCH, MAX_HEAVY_BATCH
from dsched.contracts.store.codec import UNREADABLE
from dsched.contracts.store.configs import StoredConfig
from dsched.contracts.store.dispatching import ReadyTask
from dsched.contracts.store.firing import DuePage, Fire, FireAnswer, Firing, OwnPause
from dsched.contracts.store.outcomes import Outcome, RunOutcome
from dsched.engine.clock_watch import ClockWatch
from dsched.engine.leader.term import Term
from dsched.engine.observers import Announcer
from dsched.model import BY_ITSELF, SkipReason, TaskConfig, fire_task_id, pause_due, rfc3339_ms
from dsched.planning import PlannedRun, plan_fire

log = logging.getLogger("dsched.leader")

SET_ASIDE_MS = 60_000
NO_PROGRESS_S = 0.5


class UnreadableConfigError(Exception):
    """A stored config that this dsched cannot read."""


@attrs.frozen(kw_only=True)
class Fired:
    """What came of a page of due configs: the tasks that are ready by now, and in how many seconds
    to look again (0: at once, there may be more; None: nothing is due any more)."""

    tasks: tuple[ReadyTask, ...] = ()
    again_in_s: float | None = None


class FiringStep:
    """Fires what is due, a page at a time."""

    def __init__(self, store: Firing, term: Term, watch: ClockWatch, announcer: Announcer) -> None:
        self._store = store
        self._term = term
        self._watch = watch
        self._announcer = announcer
        self._jumped_to_ms: int | None = None

    async def fire(self, page: DuePage) -> Fired:
        """Fire what a page says is due."""
        self._term.check()
        now_ms = page.time.wall_ms
        if self._watch.read(page.time):
            self._jumped_to_ms = now_ms
            log.warning("the store's clock jumped forward; catching up with one run a config")
            self._term.disturbed()
        if not page.configs:
            if page.next_due_ms is None:
                return Fired()
            return Fired(again_in_s=max(0, page.next_due_ms - now_ms) / 1000)
        fires = self._plan(page.configs, now_ms)
        answers: list[FireAnswer] = []
        for portion in _portions(fires):
            answers += await self._store.fire(self._term.fence, portion)
        # Not now: the tasks wait for a worker. There is time while the store dispatches them.
        asyncio.get_running_loop().call_soon(_say_all, fires, answers, now_ms)
        if all(answer.outcome is Outcome.EARLY for answer in answers):
            return Fired(again_in_s=NO_PROGRESS_S)
        configs = {stored.config.id: stored.config for stored in page.configs}
        tasks = tuple(
            task
            for fire, answer in zip(fires, answers, strict=True)
            for task in _ready(configs[fire.config_id], fire, answer, now_ms)
        )
        return Fired(tasks=tasks, again_in_s=_again_in_s(page, fires, answers))

    def _plan(self, configs: tuple[StoredConfig, ...], now_ms: int) -> list[Fire]:
        """One fire a config, as far as the bound of runs a call reaches; the rest stays due."""
        fires: list[Fire] = []
        room = MAX_BATCH
        for stored in configs:
            if room <= 0:
                break
            fire = self._plan_one(stored, now_ms, min(room, MAX_HEAVY_BATCH))
            room -= len(fire.runs) + len(fire.left_out)
            fires.append(fire)
        return fires

    def _plan_one(self, stored: StoredConfig, now_ms: int, room: int) -> Fire:
        config, due_ms = stored.config, stored.due_ms
        if stored.paused is not None and stored.paused.until_ms is not None:
            return _resumed(stored, stored.paused.until_ms, now_ms)
        assert due_ms is not None  # noqa: S101 - `due` answers with due configs only
        why = pause_due(config, stored.counted)
        if why is not None:
            return _paused(stored, due_ms, now_ms, why)
        # Everything that the jump made due gets one run, on whichever page it comes.
        jumped = self._jumped_to_ms is not None and due_ms <= self._jumped_to_ms
        try:
            if config.executor == UNREADABLE:
                raise UnreadableConfigError(config.payload["reason"])
            if config.max_runs is not None:
                room = min(room, config.max_runs - stored.counted.runs)
            plan = plan_fire(
                config,
                due_ms=due_ms,
                now_ms=now_ms,
                max_runs=room,
                one_catch_up=jumped,
                skips=[skip.at_ms for skip in stored.skips],
            )
        except Exception as error:
            # One config that cannot be planned must not keep the others from firing.
            log.exception("config %s cannot be planned; it is set aside for a minute", config.id)
            self._announcer.tell(InvariantViolated(name="unplannable", detail=f"{error}"))
            return _set_aside(config, due_ms, now_ms)
        return Fire(
            config_id=config.id,
            revision=config.revision,
            due_ms=due_ms,
            runs=tuple(
                PlannedRun(scheduled_ms=run.scheduled_ms, not_before_ms=run.not_before_ms)
                for run in plan.runs
            ),
            skipped=plan.skipped,
            left_out=tuple(skip for skip in stored.skips if skip.at_ms in plan.left_out),
            next_due_ms=plan.next_due_ms,
        )


def _portions(fires: Sequence[Fire]) -> Iterable[Sequence[Fire]]:
    """As many at a time as a store takes in one step: configs, and runs of all of them."""
    portion: list[Fire] = []
    runs = 0
    for fire in fires:
        runs += len(fire.runs)
        if runs > MAX_HEAVY_BATCH or len(portion) == MAX_HEAVY_BATCH:
            yield portion
            portion, runs = [], len(fire.runs)
        portion.append(fire)
    if portion:
        yield portion


def _again_in_s(
    page: DuePage, fires: Sequence[Fire], answers: Sequence[FireAnswer]
) -> float | None:
    """In how many seconds there is something to do again; 0 if not all that was due is done."""
    planned = len(fires) == len(page.configs) < MAX_BATCH
    # When a fixed delay ends only the store knows.
    delays = any(stored.config.fixed_delay is not None for stored in page.configs)
    # Whether a config has fired as often as it may only the store knows, too.
    counts = any(stored.config.max_runs is not None for stored in page.configs)
    known = planned and not delays and not counts
    if not known or any(answer.outcome is not Outcome.OK for answer in answers):
        return 0.0
    now_ms = page.time.wall_ms
    starts = [run.not_before_ms for fire in fires for run in fire.runs]
    instants = [page.next_due_ms, *(fire.next_due_ms for fire in fires)]
    instants += [fire.parked_until_ms for fire in fires]
    instants += [start_ms for start_ms in starts if start_ms > now_ms]
    ahead = [instant_ms for instant_ms in instants if instant_ms is not None]
    return max(0, min(ahead) - now_ms) / 1000 if ahead else None


def _ready(config: TaskConfig, fire: Fire, answer: FireAnswer, now_ms: int) -> Iterable[ReadyTask]:
    """The tasks of a fire that are ready for certain: neither held nor for a later instant, and no
    runs, which are open."""
    if config.workflow is not None:
        return
    for run, outcome in zip(fire.runs, answer.runs, strict=False):
        if outcome is RunOutcome.FIRED and run.not_before_ms <= now_ms:
            yield ReadyTask(
                id=fire_task_id(config.id, run.scheduled_ms),
                priority=config.priority,
                scheduled_ms=run.scheduled_ms,
                required_labels=config.required_labels,
                affinity_key=config.affinity_key,
            )


def _resumed(stored: StoredConfig, until_ms: int, now_ms: int) -> Fire:
    """The end of a pause that was to last until an instant."""
    config = stored.config
    fire = Fire(
        config_id=config.id,
        revision=config.revision,
        due_ms=until_ms,
        next_due_ms=until_ms,
        resumes=True,
    )
    try:
        rearm = planned_resume(stored, now_ms)
    except Exception:
        # It is due now, and is set aside as what cannot be planned is.
        log.exception("the pause of config %s ends, and it cannot be planned", config.id)
        return fire
    return attrs.evolve(fire, skipped=rearm.skipped, next_due_ms=rearm.next_due_ms)


def _paused(stored: StoredConfig, due_ms: int, now_ms: int, why: str) -> Fire:
    """The pause of a config by itself, since it has counted enough."""
    config = stored.config
    try:
        rearm = planned_change(
            stored, now_ms, SkipReason.PAUSED, rearmed=False, asked=(BY_ITSELF, why)
        )
    except Exception:
        log.exception(
            "config %s pauses itself, and it cannot be planned; a minute later", config.id
        )
        return _set_aside(config, due_ms, now_ms)
    return Fire(
        config_id=config.id,
        revision=config.revision,
        due_ms=due_ms,
        skipped=rearm.skipped,
        pause=OwnPause(why=why, upto_ms=rearm.upto_ms),
    )


def _set_aside(config: TaskConfig, due_ms: int, now_ms: int) -> Fire:
    """Park it for a minute; what it owes stays owed, until a pod can read it or it is corrected."""
    return Fire(
        config_id=config.id,
        revision=config.revision,
        due_ms=due_ms,
        parked_until_ms=now_ms + SET_ASIDE_MS,
    )


def _say_all(fires: Sequence[Fire], answers: Sequence[FireAnswer], now_ms: int) -> None:
    for fire, answer in zip(fires, answers, strict=True):
        _say(fire, answer, now_ms)
        if answer.outcome not in (Outcome.OK, Outcome.MOVED, Outcome.REVISED):
            log.warning("config %s was not fired: %s", fire.config_id, answer.outcome)


def _say(fire: Fire, answer: FireAnswer, now_ms: int) -> None:
    """Each fire in plain words, as it happens; what is skipped in one line."""
    if fire.resumes and answer.outcome is Outcome.OK:
        log.info("%s resumes: it was paused until %s", fire.config_id, rfc3339_ms(fire.due_ms))
    if fire.pause is not None and answer.outcome is Outcome.OK:
        log.warning("%s pauses itself: %s", fire.config_id, fire.pause.why)
    dropped = []
    for run, outcome in zip(fire.runs, answer.runs, strict=False):
        if outcome is RunOutcome.SKIPPED:
            dropped.append(run.scheduled_ms)
            continue
        why = "; it waits for an earlier run" if outcome is RunOutcome.HELD else ""
        late_ms = now_ms - run.scheduled_ms
        instant = rfc3339_ms(run.scheduled_ms)
        log.info("%s %s for %s, %d ms late%s", fire.config_id, outcome, instant, late_ms, why)
    if dropped:
        _say_skipped(
            fire.config_id, dropped[0], dropped[-1], len(dropped), "an earlier run is live"
        )
    for skip in fire.left_out if answer.outcome is Outcome.OK else ():
        why = f"{skip.who} asked for it: {skip.why}"
        _say_skipped(fire.config_id, skip.at_ms, skip.at_ms, 1, why)
    if fire.skipped is not None and answer.outcome is Outcome.OK:
        skipped = fire.skipped
        _say_skipped(
            fire.config_id, skipped.first_ms, skipped.last_ms, skipped.count, skipped.reason
        )


def _say_skipped(config_id: str, first_ms: int, last_ms: int, count: int, why: str) -> None:
    if count == 1:
        log.info("%s skipped for %s: %s", config_id, rfc3339_ms(first_ms), why)
    else:
        first, last = rfc3339_ms(first_ms), rfc3339_ms(last_ms)
        log.info("%s skipped %d times, %s to %s: %s", config_id, count, first, last, why)
