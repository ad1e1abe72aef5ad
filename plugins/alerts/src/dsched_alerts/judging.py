"""Which notices are worth an alert: thresholds, silences, repeats. No I/O, and the time is
given."""

from collections import OrderedDict, deque
from collections.abc import Collection, Iterator
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Any

import attrs

from dsched.contracts import ClusterGauges, Notice
from dsched.model import config_of
from dsched_alerts.alert import RESOLVED, Alert, Kind
from dsched_alerts.entries import alerts_of
from dsched_alerts.options import AlertOptions
from dsched_alerts.silences import read_silence, silenced

MAX_KEYS = 10_000
# When a new leader starts, a worker that was lost longer ago than this is no news.
NEWS_MS = 15 * 60_000
BACKLOG = "backlog"
# A leader gives a picture every few seconds. After a longer break another one may have led.
SUCCESSION_MS = 60_000
_UNRUNNABLE = f"{Kind.UNRUNNABLE}:"
_FULL = f"{Kind.FULL}:"


@attrs.define
class Judged:
    """How many alerts were not posted, and why."""

    silenced: int = 0
    repeated: int = 0


class Judge:
    """Turns notices into alerts. Remembers at most `MAX_KEYS` of anything, the latest."""

    def __init__(self, options: AlertOptions) -> None:
        self.counts = Judged()
        self._options = options
        self._kinds = frozenset(options.kinds)
        self._silences = [read_silence(line) for line in options.silences]
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._failures: OrderedDict[str, deque[int]] = OrderedDict()
        self._posted: OrderedDict[str, tuple[int, int]] = OrderedDict()
        self._standing: set[str] = set()  # keys of what is firing and has been told
        self._alive: set[str] = set()
        self._looked_ms: int | None = None
        self._inherited_ms: int | None = None  # since when the predecessor's backlog is held back

    def judge(self, notice: Notice, now_ms: int) -> list[Alert]:
        """The alerts that this notice makes, at this wall time."""
        if isinstance(notice, ClusterGauges):
            return list(self._gauges(notice, now_ms))
        return list(self._happened(notice, now_ms))

    # --- what happened: each thing once ---

    def _happened(self, notice: Notice, now_ms: int) -> Iterator[Alert]:
        for alert in alerts_of(notice, now_ms):
            if alert.kind in self._kinds and self._concerns(alert) and self._enough(alert):
                if silenced(self._silences, alert.kind, now_ms):
                    self.counts.silenced += 1
                elif (repeats := self._repeats(alert)) is not None:
                    yield attrs.evolve(alert, repeats=repeats)

    def _concerns(self, alert: Alert) -> bool:
        patterns = self._options.configs
        about = alert.config_id or config_of(alert.task_id) or ""
        if not patterns or not (about or alert.task_id):
            return True
        return any(fnmatchcase(about, pattern) for pattern in patterns)

    def _enough(self, alert: Alert) -> bool:
        """Whether it passes its threshold, and is not a repeat of an entry already seen."""
        if alert.id in self._seen:
            return False
        _remember(self._seen, alert.id, None)
        match alert.kind:
            case Kind.LATE:
                return (alert.value or 0) >= _ms(self._options.late_after)
            case Kind.FAILED:
                return self._failed_often(alert)
        return True

    def _failed_often(self, alert: Alert) -> bool:
        wanted = self._options.failed_count
        times = self._failures.get(alert.key)
        if times is None:
            times = deque(maxlen=wanted)
        times.append(alert.at_ms)
        _remember(self._failures, alert.key, times)
        return len(times) == wanted and (times[-1] - times[0] <= _ms(self._options.failed_within))

    def _repeats(self, alert: Alert) -> int | None:
        """How many were held back since the last one; None if this one is held back too."""
        posted = self._posted.get(alert.key)
        if posted is not None and 0 <= alert.at_ms - posted[0] < _ms(self._options.repeat_after):
            _remember(self._posted, alert.key, (posted[0], posted[1] + 1))
            self.counts.repeated += 1
            return None
        _remember(self._posted, alert.key, (alert.at_ms, 0))
        return 0 if posted is None else posted[1]

    # --- the picture of the cluster: things begin and end ---

    def _gauges(self, picture: ClusterGauges, now_ms: int) -> Iterator[Alert]:
        standing = {alert.key: alert for alert in self._conditions(picture, now_ms)}
        self._inherit(picture, standing.keys(), now_ms)
        for key, alert in standing.items():
            if key in self._standing:
                continue
            if silenced(self._silences, alert.kind, now_ms):
                self.counts.silenced += 1  # told when the window is over, if it lasts
                continue
            self._standing.add(key)
            yield alert
        for worker in picture.workers:
            key = _worker_key(worker.id)
            if not worker.gone and key in self._standing:
                yield _resolved(Kind.WORKER_LOST, key, f"worker {worker.id} is back", now_ms)
        if BACKLOG in self._standing and BACKLOG not in standing:
            yield _resolved(Kind.BACKLOG, BACKLOG, "ready tasks are taken in time again", now_ms)
        for key in sorted(self._standing - standing.keys()):
            if key.startswith(_UNRUNNABLE):
                summary = f"nothing waits any more because {key.removeprefix(_UNRUNNABLE)}"
                yield _resolved(Kind.UNRUNNABLE, key, summary, now_ms)
            elif key.startswith(_FULL):
                summary = f"no task waits long any more for {key.removeprefix(_FULL)}"
                yield _resolved(Kind.FULL, key, summary, now_ms)
        self._standing &= standing.keys()
        self._alive = {worker.id for worker in picture.workers if not worker.gone}

    def _inherit(self, picture: ClusterGauges, standing: Collection[str], now_ms: int) -> None:
        """Take over the backlog that the leader before this one must have told: it counts as told,
        but once it has stood for `repeat_after` it is told here, in case nobody did."""
        earlier_ms, self._looked_ms = self._looked_ms, now_ms
        if BACKLOG not in standing:
            self._inherited_ms = None
        elif earlier_ms is None or not 0 <= now_ms - earlier_ms < SUCCESSION_MS:
            self._standing.discard(BACKLOG)
            if self._stood_before(picture):
                self._standing.add(BACKLOG)
                self._inherited_ms = now_ms
        since_ms = self._inherited_ms
        if since_ms is not None and now_ms - since_ms >= _ms(self._options.repeat_after):
            self._standing.discard(BACKLOG)
            self._inherited_ms = None

    def _stood_before(self, picture: ClusterGauges) -> bool:
        """Whether there was this backlog too when the leader before this one looked."""
        age_ms = picture.oldest_ready_age_s * 1000 - SUCCESSION_MS
        return age_ms >= _ms(self._options.backlog_after) or (self._many(picture) and age_ms >= 0)

    def _conditions(self, picture: ClusterGauges, now_ms: int) -> Iterator[Alert]:
        for worker in picture.workers if Kind.WORKER_LOST in self._kinds else ():
            silent_ms = picture.now_ms - worker.last_heartbeat_ms
            key = _worker_key(worker.id)
            news = worker.id in self._alive or key in self._standing or silent_ms < NEWS_MS
            if worker.gone and news:
                yield Alert(
                    id=f"{key}:{worker.incarnation}:{worker.last_heartbeat_ms}",
                    kind=Kind.WORKER_LOST,
                    key=key,
                    at_ms=now_ms,
                    summary=f"worker {worker.id} was not heard of for {silent_ms / 1000:.0f} s; "
                    f"it had {worker.running} running and {worker.queued} queued tasks",
                    worker_id=worker.id,
                    value=silent_ms,
                )
        yield from self._unrunnable(picture, now_ms)
        yield from self._full(picture, now_ms)
        if Kind.BACKLOG in self._kinds and (why := self._behind(picture)):
            yield Alert(
                id=f"{BACKLOG}:{picture.now_ms - round(picture.oldest_ready_age_s * 1000)}",
                kind=Kind.BACKLOG,
                key=BACKLOG,
                at_ms=now_ms,
                summary=why,
                value=picture.oldest_ready_age_s * 1000,
            )

    def _unrunnable(self, picture: ClusterGauges, now_ms: int) -> Iterator[Alert]:
        for one in picture.unrunnable if Kind.UNRUNNABLE in self._kinds else ():
            key = f"{_UNRUNNABLE}{one.reason}"
            # In a rolling deploy the first pod that can run it is soon there.
            if (
                key in self._standing
                or one.lasted_s >= self._options.unrunnable_after.total_seconds()
            ):
                tasks = "1 task waits" if one.tasks == 1 else f"{one.tasks} tasks wait"
                yield Alert(
                    id=f"{key}:{picture.now_ms - round(one.lasted_s * 1000)}",
                    kind=Kind.UNRUNNABLE,
                    key=key,
                    at_ms=now_ms,
                    summary=f"{tasks} for {one.lasted_s:.0f} s: {one.reason}",
                    reason=one.reason,
                    value=one.lasted_s * 1000,
                )

    def _full(self, picture: ClusterGauges, now_ms: int) -> Iterator[Alert]:
        others = any(worker.has_room for worker in picture.workers)
        for one in picture.full if Kind.FULL in self._kinds else ():
            key = f"{_FULL}{one.demands}"
            if one.lasted_s < self._options.full_after.total_seconds():
                continue
            # It is not over, nor news, when the others have had no room for a moment.
            if others or key in self._standing:
                tasks = "1 task waits" if one.tasks == 1 else f"{one.tasks} tasks wait"
                yield Alert(
                    id=f"{key}:{picture.now_ms - round(one.lasted_s * 1000)}",
                    kind=Kind.FULL,
                    key=key,
                    at_ms=now_ms,
                    summary=f"{tasks}, the oldest for {one.lasted_s:.0f} s: all workers with "
                    f"{one.demands} are full, though others have room",
                    reason=one.demands,
                    value=one.lasted_s * 1000,
                )

    def _behind(self, picture: ClusterGauges) -> str:
        ready = picture.waiting_by_home.get("ready", 0)
        age_s, limit_s = picture.oldest_ready_age_s, self._options.backlog_after.total_seconds()
        if age_s >= limit_s:
            return f"the oldest of {ready} ready tasks has waited {age_s:.0f} s for a worker"
        return f"{ready} tasks are ready and wait for a worker" if self._many(picture) else ""

    def _many(self, picture: ClusterGauges) -> bool:
        return 0 < self._options.backlog_size <= picture.waiting_by_home.get("ready", 0)


def _worker_key(worker_id: str) -> str:
    return f"{Kind.WORKER_LOST}:{worker_id}"


def _resolved(kind: Kind, key: str, summary: str, now_ms: int) -> Alert:
    worker_id = key.partition(":")[2] if kind is Kind.WORKER_LOST else ""
    return Alert(
        id=f"{key}:{RESOLVED}:{now_ms}",
        kind=kind,
        key=key,
        at_ms=now_ms,
        summary=summary,
        state=RESOLVED,
        worker_id=worker_id,
    )


def _remember(memory: "OrderedDict[str, Any]", key: str, value: Any) -> None:
    memory[key] = value
    memory.move_to_end(key)
    if len(memory) > MAX_KEYS:
        memory.popitem(last=False)


def _ms(span: timedelta) -> float:
    return span / timedelta(milliseconds=1)
