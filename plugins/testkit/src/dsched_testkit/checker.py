"""Checks a whole history of the reference store against the invariants of the test plan.

`History` reads the event log from its beginning, so the log must not have been trimmed.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet

from dsched.contracts.steps import Event, EventKind, fence_epoch
from dsched.model import JsonValue, OnCrash, Overlap, TaskResult, TaskStatus
from dsched_testkit.memory import State
from dsched_testkit.suites.machine.audit import Audit

Item = Mapping[str, JsonValue]

_ENDS_AN_ATTEMPT = {EventKind.COMPLETED, EventKind.RELEASED, EventKind.REAPED}
_ONLY_LEADERS = {EventKind.FIRED, EventKind.DISPATCHED, EventKind.DEFERRED, EventKind.REAPED}


class History:
    """What happened, from the log, and what is stored now."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._log = tuple(state.log)

    def problems(self) -> list[str]:
        """Every violation of I1, I3 to I6, I8 and I10, in words; for a history still under way."""
        return [
            *self._fire_unique(),
            *self._fenced(),
            *self._one_attempt_at_a_time(),
            *self._terminal_once(),
            *self._attempts(),
            *Audit(self._state).problems(),
        ]

    def lost(self, acknowledged: Iterable[str]) -> list[str]:
        """I7, at quiescence: every task that was acknowledged is there and has ended."""
        found = []
        for task_id in acknowledged:
            row = self._state.tasks.get(task_id)
            if row is None:
                found.append(f"I7: {task_id} is gone")
            elif not row.status.terminal:
                found.append(f"I7: {task_id} is still {row.status} ({row.home}, {row.reason})")
        return found

    def unaccounted(self, config_id: str, instants: Iterable[int]) -> list[str]:
        """I2: each instant was fired, or is in exactly one skipped range, and nothing else was."""
        fired = Counter(item["ms"] for item in self._items(EventKind.FIRED, config_id))
        ranges = [(i["first"], i["last"]) for i in self._items(EventKind.SKIPPED, config_id)]
        found, owed = [], set(instants)
        for at_ms in sorted(owed):
            skipped = sum(first <= at_ms <= last for first, last in ranges)
            if fired[at_ms] + skipped != 1:
                found.append(f"I2: {config_id}@{at_ms}: fired {fired[at_ms]}, skipped {skipped}")
        found += [f"I2: {config_id}@{ms} was fired, not owed" for ms in fired if ms not in owed]
        for item in self._items(EventKind.SKIPPED, config_id):
            inside = sum(item["first"] <= at_ms <= item["last"] for at_ms in owed)
            if inside != item["count"]:
                found.append(f"I2: {dict(item)} holds {inside} owed instants")
        return found

    def _items(self, kind: EventKind, config_id: str) -> Iterator[Item]:
        for event in self._log:
            if event.kind is kind:
                yield from (item for item in event.items if item["config"] == config_id)

    def _fire_unique(self) -> list[str]:
        fires = Counter(
            (item["config"], item["ms"])
            for event in self._log
            if event.kind is EventKind.FIRED
            for item in event.items
        )
        return [
            f"I1: {config}@{ms} was fired {n} times" for (config, ms), n in fires.items() if n > 1
        ]

    def _fenced(self) -> list[str]:
        """I3: a leader's entry is by the term that holds the lock there; epochs only grow."""
        found, fence, epoch = [], "", -1
        for event in self._log:
            if event.kind is EventKind.LEADER:
                acquired = event.items[0]["act"] == "acquired"
                if acquired and fence_epoch(event.by) <= epoch:
                    found.append(f"I3: the epoch of {event.by} is not above {epoch}")
                fence = event.by if acquired else ""
                epoch = max(epoch, fence_epoch(event.by))
            elif event.kind in _ONLY_LEADERS and event.by != fence:
                found.append(
                    f"I3: {event.kind} {event.cursor} by {event.by}, the term is {fence!r}"
                )
        return found

    def _one_attempt_at_a_time(self) -> list[str]:
        """I4 and I5: a claim comes after the end of the one before; what ends is the last claim."""
        found: list[str] = []
        running: dict[str, int] = {}
        for event, item in self._task_items():
            task_id = item["task"]
            if event.kind is EventKind.CLAIMED:
                if task_id in running:
                    found.append(
                        f"I4: {task_id} was claimed while attempt {running[task_id]} lived"
                    )
                running[task_id] = item["attempt"]
            elif event.kind in _ENDS_AN_ATTEMPT:
                attempt = running.pop(task_id, None)
                if attempt is None:
                    found.append(f"I4: {event.kind} of {task_id}, which did not run")
                elif item.get("attempt", attempt) != attempt:
                    found.append(f"I5: {task_id}: {item['attempt']} ended, {attempt} was current")
        return found

    def _terminal_once(self) -> list[str]:
        """I6: after its end nothing happens to a task."""
        found: list[str] = []
        ended: set[str] = set()
        for event, item in self._task_items():
            task_id, status = item["task"], item.get("status")
            if task_id in ended:
                found.append(f"I6: {event.kind} of {task_id} after its end")
            if status is not None and TaskStatus(status).terminal:
                ended.add(task_id)
        return found

    def _attempts(self) -> list[str]:
        """I10: claims <= 1 + retries + crashes + releases."""
        claims: defaultdict[str, int] = defaultdict(int)
        reasons: defaultdict[str, int] = defaultdict(int)
        for event, item in self._task_items():
            if event.kind is EventKind.CLAIMED:
                claims[item["task"]] += 1
            elif event.kind in _ENDS_AN_ATTEMPT and not TaskStatus(item["status"]).terminal:
                reasons[item["task"]] += 1
        return [
            f"I10: {task_id} was claimed {n} times, with {reasons[task_id]} reasons to run again"
            for task_id, n in claims.items()
            if n > 1 + reasons[task_id]
        ]

    def _task_items(self) -> Iterator[tuple[Event, Item]]:
        for event in self._log:
            for item in event.items:
                if "task" in item:
                    yield event, item

    # --- what a whole run, with books kept beside the store, can be held to ---

    def covered(
        self, config_id: str, instants: Iterable[int], possible: Iterable[int]
    ) -> list[str]:
        """I2 where the clock went back: each of ``instants`` is accounted for at least once.

        Only ``possible`` instants fire. That each fires at most once is I1.
        """
        fired = {item["ms"] for item in self._items(EventKind.FIRED, config_id)}
        ranges = [(i["first"], i["last"]) for i in self._items(EventKind.SKIPPED, config_id)]
        found = [
            f"I2: {config_id}@{ms} was neither fired nor skipped"
            for ms in sorted(instants)
            if ms not in fired and not any(first <= ms <= last for first, last in ranges)
        ]
        stray = sorted(fired - set(possible))
        return found + [f"I2: {config_id}@{ms} was fired, not possible" for ms in stray]

    def cancels_win(self) -> list[str]:
        """I11: a task whose cancel was requested ends `cancelled`, and is not claimed again."""
        found: list[str] = []
        asked: set[str] = set()
        for event, item in self._task_items():
            task_id, status = item["task"], item.get("status")
            if event.kind is EventKind.CANCEL_REQUESTED:
                asked.add(task_id)
            elif task_id in asked and event.kind is EventKind.CLAIMED:
                found.append(f"I11: {task_id} was claimed after its cancel was requested")
            elif task_id in asked and status is not None and status != TaskStatus.CANCELLED:
                found.append(f"I11: {task_id} became {status} after its cancel was requested")
        return found

    def at_most_once(self) -> list[str]:
        """I19: a task that may neither be retried nor run again after a crash is claimed once."""
        claims = Counter(
            item["task"] for event, item in self._task_items() if event.kind is EventKind.CLAIMED
        )
        return [
            f"I19: {task_id} was claimed {n} times"
            for task_id, n in claims.items()
            if n > 1 and (row := self._state.tasks.get(task_id)) is not None
            if row.spec.retry.max_retries == 0 and row.spec.on_crash is OnCrash.FAIL
        ]

    def retry_delays(self) -> list[str]:
        """I10: the delay before retry n lies in [d, d x (1 + jitter)], d by the task's policy."""
        found: list[str] = []
        retries: Counter[str] = Counter()
        for event, item in self._task_items():
            row = self._state.tasks.get(item["task"])
            if event.kind is not EventKind.COMPLETED or "delay" not in item or row is None:
                continue
            retries[row.id] += 1
            policy, n = row.spec.retry, retries[row.id]
            asked_s = policy.retry_delay.total_seconds() * policy.backoff_rate ** (n - 1)
            least_ms = min(asked_s, policy.max_delay.total_seconds()) * 1000
            if not least_ms <= item["delay"] <= least_ms * (1 + policy.jitter) + 1:
                found.append(f"I10: {row.id} waits {item['delay']} ms before retry {n}")
            if n > policy.max_retries:
                found.append(f"I10: {row.id} is retried {n} times, {policy.max_retries} allowed")
        return found

    def results_kept(self, accepted: Mapping[str, TaskResult]) -> list[str]:
        """I12: the result of an ended task is the one that was accepted."""
        found = []
        for task_id, result in accepted.items():
            row = self._state.tasks.get(task_id)
            if row is not None and row.result != result:
                found.append(f"I12: {task_id} has the result {row.result}, accepted was {result}")
        return found

    def ran(self, began: AbstractSet[tuple[str, int]]) -> list[str]:
        """Every success is of an attempt that an executor really began, and carries its result."""
        found: list[str] = []
        for event, item in self._task_items():
            if event.kind is not EventKind.COMPLETED or item["code"] != "ok":
                continue
            task_id, attempt = item["task"], item["attempt"]
            if (task_id, attempt) not in began:
                found.append(f"I5: {task_id} succeeded in attempt {attempt}, which never began")
            row = self._state.tasks.get(task_id)
            if row is None:
                continue  # removed since, with its result; that nothing goes too soon is I7
            data = None if row.result is None else row.result.data
            if data != {"task": task_id, "attempt": attempt}:
                found.append(f"I5: {task_id}, attempt {attempt}, has the result {data}")
        return found

    def clock_events(self) -> list[str]:
        """I13: each step back that the store's clock took is in the log, and counted."""
        gens = [
            item["gen"]
            for event in self._log
            if event.kind is EventKind.CLOCK_BACK
            for item in event.items
        ]
        if gens == list(range(1, self._state.clock_gen + 1)):
            return []
        return [f"I13: the clock's generation is {self._state.clock_gen}, the log has {gens}"]

    def fires_are_of_the_config(self, acts: Iterable[tuple[int, str, str, bool]]) -> list[str]:
        """I21 and I2: nothing fires early, nor while its config is gone, paused or disabled.

        ``acts``: (position in the log, config, what, whether it is enabled), in their order.
        """
        found: list[str] = []
        idle: dict[str, set[str]] = {}
        pending = sorted(acts, key=lambda act: act[0])
        for event in self._log:
            while pending and pending[0][0] < int(event.cursor):
                _, config_id, act, enabled = pending.pop(0)
                _apply(idle.setdefault(config_id, set()), act, enabled=enabled)
            if event.kind is not EventKind.FIRED:
                continue
            for item in event.items:
                why = idle.get(item["config"], {"gone"})
                if why:
                    found.append(f"I21: {item['task']} was fired: the config is {sorted(why)}")
                if event.at_ms < item["ms"]:
                    found.append(f"I2: {item['task']} was fired early, at {event.at_ms}")
        return found

    def one_at_a_time(self, config_id: str) -> list[str]:
        """A fixed-delay config fires only when its task before has ended."""
        return [
            f"I18: {item['task']} was fired while {sorted(live - {item['task']})} lived"
            for event, item, live in self._lives(config_id)
            if event.kind is EventKind.FIRED and live != {item["task"]}
        ]

    def overlaps(self, config_id: str, policy: Overlap) -> list[str]:
        """I18, for a config whose overlap policy never changed."""
        if policy is Overlap.ALLOW:
            return []
        found: list[str] = []
        order: list[str] = []
        held = ""
        for event, item, live in self._lives(config_id):
            task_id = item["task"]
            older = [one for one in order if one in live and one != task_id]
            if event.kind is EventKind.FIRED:
                order.append(task_id)
                if not item.get("held") and older:
                    found.append(f"I18: {task_id} runs by {policy} while {older} lives")
                if item.get("held") and policy is Overlap.SKIP:
                    found.append(f"I18: {task_id} was held by {policy}")
                # A held one whose elders have all ended waits no more: that has no entry.
                if item.get("held") and held in older[1:]:
                    found.append(f"I18: {task_id} is held, and so is {held}")
                held = task_id if item.get("held") else held
            elif event.kind is EventKind.CLAIMED:
                held = "" if held == task_id else held
                older = [one for one in older if order.index(one) < order.index(task_id)]
                if older:
                    found.append(f"I18: {task_id} was claimed while {older} lived")
        return found

    def _lives(self, config_id: str) -> Iterator[tuple[Event, Item, set[str]]]:
        """The entries about a config's fired tasks, with those that live then, its own included.

        What a fire supersedes it ends in the same step, whose entry comes after that of the fire.
        """
        live: set[str] = set()
        for at, event in enumerate(self._log):
            for item in event.items:
                task_id = item.get("task")
                if task_id is None or not _fired_by(task_id, config_id):
                    continue
                if event.kind is EventKind.FIRED:
                    live |= {task_id}
                    live -= self._superseded_with(at)
                elif _ends(item):
                    live -= {task_id}
                yield event, item, live

    def _superseded_with(self, at: int) -> set[str]:
        following = self._log[at + 1] if at + 1 < len(self._log) else None
        if following is None or following.kind is not EventKind.CANCELLED:
            return set()
        return {i["task"] for i in following.items if i["reason"] == "superseded"}


def _ends(item: Item) -> bool:
    status = item.get("status")
    return status is not None and TaskStatus(status).terminal


def _fired_by(task_id: str, config_id: str) -> bool:
    owner, _, instant = task_id.partition("@")
    return owner == config_id and instant.isdigit()


def _apply(idle: set[str], act: str, *, enabled: bool) -> None:
    """Keep why a config must not fire: gone, paused, disabled."""
    if act == "put":
        idle -= {"gone", "disabled"}
        if not enabled:
            idle |= {"disabled"}
    elif act == "paused":
        idle |= {"paused"}
    elif act == "resumed":
        idle -= {"paused"}
    elif act == "deleted":
        idle.clear()
        idle |= {"gone"}
