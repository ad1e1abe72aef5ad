"""The run loop's step: runs with news are read, decided about purely, and advanced."""

import logging
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence

import attrs

from dsched.contracts.store import Store
from dsched.contracts.store.bounds import MAX_BATCH
from dsched.contracts.store.outcomes import Outcome
from dsched.contracts.store.runs import (
    MAX_ADVANCED_BYTES,
    Advance,
    AdvanceAnswer,
    Birth,
    OpenRun,
)
from dsched.contracts.store.timing import StoreTime
from dsched.engine.leader.abilities import Abilities
from dsched.engine.leader.eligible import Eligible, Gone
from dsched.engine.leader.lists import ListedRun, Lists
from dsched.engine.leader.run_news import RunNews
from dsched.engine.leader.term import Term
from dsched.model import (
    JsonValue,
    MemberLine,
    MemberStep,
    TaskSpec,
    TaskStatus,
    Workflow,
    member_name,
)
from dsched.model.json import dumps
from dsched.planning.runs import Moment, NextMove, RunEnd, RunProgress, decide, member_spec

log = logging.getLogger("dsched.leader")

RUNS_A_PAGE = 20
PAGES_A_TICK = 20
MAX_KNOWN = 1000  # runs whose log this leader remembers; of others it reads all of it
UNREADABLE = "unreadable"


@attrs.define
class KnownRun:
    """What a leader remembers of a run: its snapshot, its log added up, whom it has cancelled.

    ``read``: how many lines the store has told, of which ``last`` is the last; ``own`` have been
    written since, by this leader.
    """

    spec: TaskSpec
    flow: Workflow | None
    progress: RunProgress
    cancelled: set[str] = attrs.field(factory=set)
    read: int = 0
    last: MemberLine | None = None
    own: Sequence[MemberLine] = ()

    @property
    def asked_after(self) -> int:
        """After which line the store is asked to go on: it tells the last one once more."""
        return max(0, self.read - 1)

    def follows(self, lines: Sequence[MemberLine]) -> bool:
        """Take lines from the store; whether they follow what is known.

        They do not where the store has lost lines, as after a failover, and as many others have
        taken their places.
        """
        if self.last is not None:
            if not lines or lines[0] != self.last:
                return False
            lines = lines[1:]
        if any(_said(one) != _said(other) for one, other in zip(self.own, lines, strict=False)):
            return False
        self.progress.take(lines[len(self.own) :])
        self.own = self.own[len(lines) :]
        self.read += len(lines)
        self.last = lines[-1] if lines else self.last
        return True


@attrs.frozen
class Decided:
    """A run as it was read, and what is to be done about it."""

    run: OpenRun
    known: KnownRun
    item: Advance


class RunStep:
    """Advances runs, a page at a time. What it remembers is of one term."""

    def __init__(self, store: Store, term: Term, news: RunNews, abilities: Abilities) -> None:
        self._store = store
        self._eligible = Eligible(store, abilities)
        self._lists = Lists(store)
        self._term = term
        self._news = news
        self._known: OrderedDict[str, KnownRun] = OrderedDict()

    async def advance(self) -> None:
        """Decide about every run that has news; nothing where none has."""
        if not self._news.due:
            return
        self._news.taken()
        for _ in range(PAGES_A_TICK):
            self._term.check()
            known = {one: self._known[one].asked_after for one in self._latest()}
            page = await self._store.open_runs(self._term.fence, known, RUNS_A_PAGE)
            again = await self._decide(page.runs, page.time)
            if not (again or page.more):
                return
        self._news.seen(0)

    def _latest(self) -> Sequence[str]:
        """The runs that were advanced last; of those the store sends what is new only."""
        return list(self._known)[-MAX_BATCH:]

    async def _decide(self, runs: Iterable[OpenRun], time: StoreTime) -> bool:
        """Decide about these runs, and have it done; whether there is more to do about them."""
        decided, unread = [], False
        self._eligible.look_anew()
        for run in runs:
            known = self._learned(run)
            if known is None or known.progress.version > run.version:
                # The store has lost some of it, as after a failover: read all that there is.
                self._known.pop(run.task.id)
                unread = True
            elif known.progress.version < run.version:
                unread = True  # the rest of its log is on the next page
            else:
                decided.append(Decided(run, known, await self._item(run, known, time)))
        again = unread
        for portion in _portions(decided):
            items = [one.item for one in portion]
            answers = await self._store.advance(self._term.fence, items)
            for one, answer in zip(portion, answers, strict=True):
                again = self._done(one, answer, time) or again
        return again

    async def _item(self, run: OpenRun, known: KnownRun, time: StoreTime) -> Advance:
        """What the store is asked to do, once the lists that this takes are known."""
        listed = ListedRun(
            id=run.task.id,
            spec=known.spec,
            progress=known.progress,
            instant_ms=_instant_ms(run, known.spec),
        )
        known.progress.look_anew()
        gone = await self._eligible.gone(listed)
        while True:
            move = _move(run, known, time, gone)
            for step_id in move.counts:
                if known.progress.steps[step_id].each_worker:
                    await self._eligible.count(listed, step_id)
                else:
                    await self._lists.count(listed, step_id)
            if move.counts:
                continue
            items = await self._lists.of_births(listed, move.births)
            if items is not None:
                return _item(run, known, time, move, items=items)

    def _learned(self, run: OpenRun) -> KnownRun | None:
        """What is known of a run with the lines that have come; None if they do not follow it."""
        run_id, spec = run.task.id, run.task.spec
        known = self._known.get(run_id)
        if known is None or spec is not None:
            spec = spec or TaskSpec(executor=UNREADABLE)
            flow = spec.workflow
            known = KnownRun(spec, flow, RunProgress(flow or Workflow(shards=1), spec.resumes))
            self._known[run_id] = known
        if not known.follows(run.lines):
            return None
        self._known.move_to_end(run_id)
        while len(self._known) > MAX_KNOWN:
            self._known.popitem(last=False)
        return known

    def _done(self, one: Decided, answer: AdvanceAnswer, time: StoreTime) -> bool:
        """Take note of what became of a decision; whether there is more to do at once."""
        item, known = one.item, one.known
        if answer.outcome is Outcome.STALE or (item.end and answer.outcome is Outcome.OK):
            self._known.pop(item.run_id, None)
            if item.end and answer.outcome is Outcome.OK:
                _say_ended(one)
            return False
        if answer.outcome is Outcome.CONFLICT:
            # By its own log nobody lives; who does will end, which is news.
            log.error("run %s cannot end: a member of it lives", item.run_id)
            self._known.pop(item.run_id, None)
            return False
        if answer.outcome is not Outcome.OK:
            return True
        known.cancelled.update(item.cancels)
        own = _own_lines(item, time)
        if answer.version == item.version + len(own):
            known.progress.take(own)
            known.own = [*known.own, *own]
        return item.again_in_ms == 0 or answer.version != item.version + len(own)


def _item(
    run: OpenRun,
    known: KnownRun,
    time: StoreTime,
    move: NextMove,
    *,
    items: Mapping[str, Sequence[JsonValue]],
) -> Advance:
    """What the store is asked to do, as much of it as one call takes."""
    cancels = tuple(name for name in move.cancels if name not in known.cancelled)
    skips = move.skips[:MAX_BATCH]
    room = MAX_BATCH - len(skips)
    births = _births(run, known, move, items, room=room)
    cancels_now = cancels[: max(0, room - len(births))]
    whole = (
        len(skips) == len(move.skips)
        and len(births) == len(move.births)
        and len(cancels_now) == len(cancels)
        and len(births) + len(cancels_now) + len(move.workers) <= room
    )
    again_in_ms = None if move.again_ms is None else max(0, move.again_ms - time.wall_ms)
    return Advance(
        run_id=run.task.id,
        version=run.version,
        skips=skips,
        workers=move.workers[: max(0, room - len(births) - len(cancels_now))],
        births=births,
        cancels=cancels_now,
        cancel_reason=move.cancel_reason,
        end=move.end if whole else None,
        again_in_ms=again_in_ms if whole else 0,
        cancel_known=run.cancel_reason is not None,
    )


def _move(run: OpenRun, known: KnownRun, time: StoreTime, gone: Gone) -> NextMove:
    task, progress = run.task, known.progress
    if known.flow is None:
        living = tuple(progress.living)
        end = None if living else RunEnd(status=TaskStatus.FAILED, reason=UNREADABLE)
        return NextMove(cancels=living, cancel_reason=UNREADABLE, end=end)
    deadline = known.spec.start_deadline
    expires_ms = None
    if deadline is not None:
        expires_ms = task.scheduled_ms + round(deadline.total_seconds() * 1000)
    moment = Moment(
        now_ms=time.wall_ms,
        started_ms=time.wall_ms if task.start_ms is None else task.start_ms,
        cancelled=run.cancel_reason,
        expires_ms=expires_ms,
        left=gone.left,
        lost=gone.lost,
    )
    return decide(known.flow, progress, moment)


def _instant_ms(run: OpenRun, spec: TaskSpec) -> int:
    """The nominal instant of a run: of one that goes on from another, that of the first."""
    return run.task.nominal_ms if spec.resumes is None else spec.resumes.instant_ms


def _births(
    run: OpenRun,
    known: KnownRun,
    move: NextMove,
    items: Mapping[str, Sequence[JsonValue]],
    *,
    room: int,
) -> tuple[Birth, ...]:
    """The members to make, as many as one call takes."""
    births: list[Birth] = []
    left = MAX_ADVANCED_BYTES
    spec, instant_ms = known.spec, _instant_ms(run, known.spec)
    parts = {name: one.parts for name, one in known.progress.steps.items()}
    for step, index in move.births[:room]:
        own = member_spec(
            spec,
            step,
            index,
            instant_ms=instant_ms,
            parts=parts,
            items=items.get(step, ()),
            workers=known.progress.steps[step].workers,
        )
        left -= _bytes(own)
        if births and left < 0:
            break
        births.append(Birth(name=member_name(step, index), spec=own))
    return tuple(births)


def _bytes(spec: TaskSpec) -> int:
    """How large a member is, as far as that may be much."""
    item = None if spec.member is None else spec.member.item
    return len(spec.payload_text) + (0 if item is None else len(dumps(item)))


def _portions(decided: Iterable[Decided]) -> Iterable[Sequence[Decided]]:
    """As many runs at a time as a store takes in one step."""
    portion: list[Decided] = []
    weight = size = 0
    for one in decided:
        item = one.item
        more = len(item.births) + len(item.skips) + len(item.cancels) + len(item.workers)
        bytes_ = sum(_bytes(birth.spec) for birth in item.births)
        if portion and (weight + more > MAX_BATCH or size + bytes_ > MAX_ADVANCED_BYTES):
            yield portion
            portion, weight, size = [], 0, 0
        portion.append(one)
        weight, size = weight + more, size + bytes_
    if portion:
        yield portion


def _own_lines(item: Advance, time: StoreTime) -> list[MemberLine]:
    """The lines that an advance writes, if nobody else has."""
    skipped = [
        MemberLine(
            what=MemberStep.SKIPPED,
            name=skip.step,
            at_ms=time.wall_ms,
            status=skip.status,
            reason=skip.reason,
        )
        for skip in item.skips
    ]
    born = [
        MemberLine(what=MemberStep.BORN, name=birth.name, at_ms=time.wall_ms)
        for birth in item.births
    ]
    told = [
        MemberLine(what=MemberStep.WORKERS, name=one.step, at_ms=time.wall_ms, workers=one.workers)
        for one in item.workers
    ]
    return [*skipped, *told, *born]


def _said(line: MemberLine) -> tuple[MemberStep, str]:
    return line.what, line.name


def _say_ended(one: Decided) -> None:
    end = one.item.end
    if end is not None:
        why = f": {end.reason}" if end.reason else ""
        log.info("run %s ended: %s%s", one.item.run_id, end.status, why)
