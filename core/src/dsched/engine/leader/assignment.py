"""Which ready task goes where: a pure walk over one page of ready tasks."""

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence

import attrs

from dsched.contracts.balancer import LoadBalancer
from dsched.contracts.store.classes import Blocked, Shut, class_text
from dsched.contracts.store.dispatching import Choice, Deferral, ReadyTask
from dsched.engine.leader.abilities import Runs, runs_anything
from dsched.model import Worker, need_in_words
from dsched.model.pins import demanded_in_words, pin_of

log = logging.getLogger("dsched.leader")

NO_MATCH_DELAY_MS = 2_000
SAID_DELAY_MS = 1  # comes back at once, and then waits under its class in its old place
FULL_DELAY_MS = 1_000
DEFERRED = "deferred: "
MAX_REASON = 200
FULL = f"{DEFERRED}all matching workers are full"
READ_PAST = 1_000
# Each costs the store more than a task: more of them would hold it up, and with it everybody else.
SHUTS_A_STEP = 25


@attrs.frozen(kw_only=True)
class Assignment:
    """The choices and deferrals for a page, how many tasks stay ready and are to be read past, the
    classes to shut, and the workers as they are after the choices."""

    choices: tuple[Choice, ...]
    deferrals: tuple[Deferral, ...]
    passed: int
    turns: int
    shuts: tuple[Shut, ...] = ()
    workers: tuple[Worker, ...] = ()


NOTHING = Assignment(choices=(), deferrals=(), passed=0, turns=0)


class Assigner:
    """Applies a load balancer; only eligible workers are offered to it, whatever it answers."""

    def __init__(self, name: str, balancer: LoadBalancer, runs: Runs = runs_anything) -> None:
        self._name = name
        self._runs = runs
        self._balancer = balancer
        self._turn = 0

    @property
    def runs(self) -> Runs:
        """Whether a worker can run what has a need."""
        return self._runs

    def assign(
        self,
        tasks: Sequence[ReadyTask],
        workers: Sequence[Worker],
        passed_before: int,
        *,
        classes: bool = False,
    ) -> Assignment:
        """Decide about each task of a page. No worker matches it: deferred 2 s; with ``classes``
        its class is shut, too, and also where those that match are full.

        Matching workers are full: the last in a queue gives way to a higher priority. Else it stays
        and is read past, or beyond `READ_PAST` such tasks is deferred 1 s. Where no worker has room
        it stays. A worker that missed a beat gets nothing as long as another matches, even a full
        one.
        """
        present = {w.id: w for w in workers if not (w.gone or w.draining)}
        matches, giving = _Matches(present.values(), self._runs), _Giving(present.values())
        walk = _Walked(passed_before, {})
        room = room_at(present.values())
        for task in tasks:
            text = class_text(task.required_labels, task.need) if classes else None
            if text in walk.shuts:
                continue
            matching = matches.of(task, present.values())
            if not matching:
                walk.nobody(task, text, present)
                continue
            if not (room or giving.to(task.priority)):
                continue
            eligible = _eligible(matching, giving, task.priority)
            worker = self._choose(task, eligible) if eligible else None
            if worker is None:
                walk.full(task, None if eligible else text, room)
                continue
            walk.choices.append(self._choice(task, worker))
            if not giving.gave(worker):
                present[worker.id] = worker.with_one_more()
                room -= not (matches.some_silent and worker.silent)
        return walk.assignment(self._turn, present.values())

    def _choice(self, task: ReadyTask, worker: Worker) -> Choice:
        load, limit = worker.running + worker.queued, worker.capacity + worker.backlog
        return Choice(
            task_id=task.id,
            worker_id=worker.id,
            why=f"{self._name} {load}/{limit}",
            ability=worker.ability if task.need else None,
        )

    def _choose(self, task: ReadyTask, eligible: Sequence[Worker]) -> Worker | None:
        turn, self._turn = self._turn, self._turn + 1
        try:
            chosen = self._balancer.choose(task, eligible, turn)
            chosen_id = None if chosen is None else chosen.id
        except Exception:
            log.exception(
                "balancer %s failed on task %s; using the least loaded", self._name, task.id
            )
            return min(eligible, key=lambda w: (w.load / w.limit, w.id))
        if chosen_id is None:
            return None
        for worker in eligible:
            if worker.id == chosen_id:
                return worker  # ours, with the store's counts
        log.error(
            "balancer %s chose %s, which is not eligible; using the least loaded",
            self._name,
            chosen_id,
        )
        return min(eligible, key=lambda w: (w.load / w.limit, w.id))


@attrs.define
class _Walked:
    """What has been decided so far about the tasks of a page."""

    passed_before: int
    shuts: dict[str | None, Shut]
    passed: int = 0
    choices: list[Choice] = attrs.field(factory=list)
    deferrals: list[Deferral] = attrs.field(factory=list)

    def nobody(self, task: ReadyTask, text: str | None, present: Mapping[str, Worker]) -> None:
        """No worker has what it demands. The one that its class is shut for says so, in the log,
        too. One class too many for this step is left to the next."""
        if self._one_too_many(text):
            return
        delay_ms = NO_MATCH_DELAY_MS if text is None else SAID_DELAY_MS
        self.deferrals.append(_no_match(task, present, delay_ms))
        if text is not None:
            self.shuts[text] = Shut(text, Blocked.NOBODY)

    def full(self, task: ReadyTask, text: str | None, room: int) -> None:
        """Those that have are full, or the balancer wants none of them; others may have room."""
        if not room:
            return
        if self._one_too_many(text):
            return
        if text is not None:
            self.shuts[text] = Shut(text, Blocked.FULL)
        elif self.passed_before + self.passed < READ_PAST:
            self.passed += 1
        else:
            deferral = Deferral(task_id=task.id, delay_ms=FULL_DELAY_MS, reason=FULL)
            self.deferrals.append(deferral)

    def _one_too_many(self, text: str | None) -> bool:
        """Whether the class of a task is to be shut, but by another step."""
        return text is not None and len(self.shuts) >= SHUTS_A_STEP

    def assignment(self, turns: int, workers: Iterable[Worker]) -> Assignment:
        """All of it."""
        return Assignment(
            choices=tuple(self.choices),
            deferrals=tuple(self.deferrals),
            passed=self.passed,
            turns=turns,
            shuts=tuple(self.shuts.values()),
            workers=tuple(workers),
        )


def _eligible(matching: Sequence[Worker], giving: "_Giving", priority: int) -> list[Worker]:
    # The sums of `load` and `limit`, spelt out: this is done for each task.
    free = [w for w in matching if not w.stalled and w.running + w.queued < w.capacity + w.backlog]
    return free or giving.among(matching, priority)


class _Matches:
    """Who may run what: by labels, by ability, and whether it was heard of."""

    def __init__(self, workers: Iterable[Worker], runs: Runs) -> None:
        self._workers = list(workers)
        self._runs = runs
        self._unable: dict[str, frozenset[str]] = {}
        self.some_silent = any(w.silent for w in self._workers)

    def of(self, task: ReadyTask, workers: Iterable[Worker]) -> list[Worker]:
        """Those of these workers that may run a task; silent ones only if no other may."""
        matching = list(workers)
        if labels := task.required_labels:
            matching = [w for w in matching if w.matches(labels)]
        if unable := self._unable_to(task.need):
            matching = [w for w in matching if w.id not in unable]
        return _heard(matching) if self.some_silent else matching

    def _unable_to(self, need: str) -> frozenset[str]:
        """The workers that cannot run this, mostly none; judged once a need, not once a task."""
        unable = self._unable.get(need)
        if unable is None:
            unable = frozenset(w.id for w in self._workers if not self._runs(w, need))
            self._unable[need] = unable
        return unable


class _Giving:
    """Full workers whose last queued task may give way, and how many have on this page."""

    def __init__(self, workers: Iterable[Worker]) -> None:
        self._left = {
            w.id: w.queued for w in workers if w.lowest_queued is not None and not w.stalled
        }
        lowest = [w.lowest_queued for w in workers if w.lowest_queued is not None]
        self._lowest = min(lowest, default=None)

    def to(self, priority: int) -> bool:
        """Whether anything gives way to a task of this priority."""
        return self._lowest is not None and self._lowest < priority

    def among(self, workers: Iterable[Worker], priority: int) -> list[Worker]:
        """Those of these workers whose last task is worth least, and less than this."""
        if not self.to(priority):
            return []
        able = [(w.lowest_queued, w) for w in workers if self._left.get(w.id)]
        worth = [lowest for lowest, _ in able if lowest is not None and lowest < priority]
        return [w for lowest, w in able if worth and lowest == min(worth)]

    def gave(self, worker: Worker) -> bool:
        """Whether a choice for this worker has one more of its tasks give way.

        Whether the next one would, the store knows.
        """
        if worker.id not in self._left:
            return False
        self._left[worker.id] -= 1
        return True


def room_at(workers: Iterable[Worker]) -> int:
    """How many more tasks these workers may take; silent ones count only if all are silent."""
    takers = [w for w in workers if not (w.gone or w.draining)]
    return sum(max(0, w.limit - w.load) for w in _heard(takers) if not w.stalled)


def _heard(workers: Sequence[Worker]) -> list[Worker]:
    """The workers that have not missed a beat; all of them, if each has."""
    return [w for w in workers if not w.silent] or list(workers)


def why_nobody(labels: Mapping[str, str], need: str, present: Collection[Worker]) -> str:
    """Why none of these workers can run what demands this."""
    if not present:
        return "no worker"
    pin = pin_of(labels)
    if pin is not None and all(w.id != pin for w in present):
        return f"worker {pin} is not there"
    wanted = demanded_in_words(labels)
    if not any(w.matches(labels) for w in present):
        return f"no worker has {wanted}"
    among = f" with {wanted}" if wanted else ""
    return f"no worker{among} has {need_in_words(need)}"


def _no_match(task: ReadyTask, present: Mapping[str, Worker], delay_ms: int) -> Deferral:
    reason = why_nobody(task.required_labels, task.need, present.values())
    return Deferral(task_id=task.id, delay_ms=delay_ms, reason=f"{DEFERRED}{reason}"[:MAX_REASON])
