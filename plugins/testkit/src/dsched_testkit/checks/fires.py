"""I1, I2, I18 and I21: what was fired, what was owed, and what must not run side by side."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from itertools import pairwise

import attrs

from dsched.contracts.store.events import Event, EventKind
from dsched.model import SkipReason, TaskStatus
from dsched_testkit.evidence import Chapter, Evidence, Line, order
from dsched_testkit.instants import Content, UnknownTriggerError, owed, read_content

Log = Sequence[Event]


def fire_unique(log: Log) -> list[str]:
    """I1: an instant of a config is fired at most once."""
    fires = Counter((item["config"], item["ms"]) for item in _items(log, EventKind.FIRED))
    return [f"I1: {config}@{ms} was fired {n} times" for (config, ms), n in fires.items() if n > 1]


@attrs.frozen(kw_only=True)
class Account:
    """What a config owed for certain, and what it may have owed besides. ``back``: see `audit`."""

    config_id: str
    certain: AbstractSet[int]
    possible: AbstractSet[int] = frozenset()
    exact: bool = True

    def audit(self, log: Log, *, back: bool = False) -> list[str]:
        """I2: each owed instant was fired, or is in exactly one skipped range; nothing else was.

        Those that an operator asked to skip have a record of their own, also within a range. Where
        the clock went ``back``, instants may come again: at least one account is asked for.
        """
        config_id, known = self.config_id, self.certain | self.possible
        fired = Counter(i["ms"] for i in _items(log, EventKind.FIRED, config_id))
        skipped = list(_items(log, EventKind.SKIPPED, config_id))
        asked = Counter(i["first"] for i in skipped if i["reason"] == SkipReason.OPERATOR)
        found = [
            f"I2: {config_id}@{ms} was fired, not owed" for ms in sorted(fired) if ms not in known
        ]
        for ms in sorted(known):
            ranges = asked[ms] or sum(_holds(item, ms) for item in skipped)
            if back:
                wrong = ms in self.certain and not fired[ms] + ranges
            else:
                wrong = fired[ms] + ranges != 1 if ms in self.certain else fired[ms] + ranges > 1
            if wrong:
                found.append(f"I2: {config_id}@{ms}: fired {fired[ms]}, skipped {ranges}")
        if back or not self.exact:
            return found
        for item in skipped:
            by_operator = item["reason"] == SkipReason.OPERATOR
            others = self.certain if by_operator else self.certain - asked.keys()
            inside = sum(_holds(item, ms) for ms in others)
            if inside != item["count"]:
                found.append(f"I2: {dict(item)} holds {inside} owed instants")
        return found


@attrs.define
class Accounts:
    """The accounts of all configs that could be enumerated, and those that could not."""

    checked: int = 0
    unknown: list[str] = attrs.field(factory=list)
    problems: list[str] = attrs.field(factory=list)


def accounts(evidence: Evidence) -> Accounts:
    """I2 for every config whose changes are told in ``act`` lines, in the history that stands."""
    chapter, result = evidence.last, Accounts()
    back = bool(evidence.of_kind("clock_back")) or any(
        event.kind is EventKind.CLOCK_BACK for event in chapter.log
    )
    for config_id, acts in lives(chapter).items():
        try:
            account = (
                _backwards(config_id, acts, chapter.log)
                if back
                else _forwards(config_id, acts, evidence.run.get("until_ms"))
            )
        except UnknownTriggerError as error:
            result.unknown.append(f"{config_id}: {error}")
            continue
        if account is not None:
            result.checked += 1
            result.problems += account.audit(chapter.log, back=back)
    return result


def lives(chapter: Chapter) -> dict[str, list[Line]]:
    """The acts on each config, in their order."""
    found: dict[str, list[Line]] = {}
    for act in sorted(chapter.acts, key=lambda act: order(act["position"])):
        found.setdefault(act["config"], []).append(act)
    return found


def _content(act: Line) -> Content | None:
    return read_content(act["content"]) if act.get("content") is not None else None


def _forwards(config_id: str, acts: list[Line], until_ms: int | None) -> Account | None:
    """Every instant of every revision: each from its act to the next."""
    contents = [content for act in acts if (content := _content(act)) is not None]
    if not contents or any(content.fixed_delay_ms is not None for content in contents):
        return None
    spans = list(pairwise(acts))
    if acts[-1]["act"] != "deleted" and until_ms is not None:
        spans.append((acts[-1], {"from_ms": until_ms, "upto_ms": until_ms + 3_600_000}))
    if contents[0].at_ms is not None:
        return _once(config_id, contents, spans)
    certain: set[int] = set()
    possible: set[int] = set()
    exact = True
    for act, following in spans:
        content = _content(act)
        if content is None:
            continue
        certain |= set(owed(content, act["upto_ms"], following["from_ms"]))
        possible |= set(owed(content, act["from_ms"], following["upto_ms"]))
        exact &= act["from_ms"] == act["upto_ms"] and following["from_ms"] == following["upto_ms"]
    return Account(config_id=config_id, certain=certain, possible=possible, exact=exact)


def _once(config_id: str, contents: list[Content], spans: list[tuple[Line, Line]]) -> Account:
    """An `at` is owed whenever it was put, so also if it was in the past then."""
    end_ms = spans[-1][1]["from_ms"] if spans else 0
    certain = set(owed(contents[0], 0, end_ms))
    last_ms = spans[-1][1]["upto_ms"] if spans else 0
    possible = {ms for content in contents for ms in owed(content, 0, last_ms)}
    single = len({content.at_ms for content in contents}) == 1
    return Account(
        config_id=config_id, certain=certain if single else set(), possible=possible, exact=single
    )


def _backwards(config_id: str, acts: list[Line], log: Log) -> Account | None:
    """Where the wall clock was set back, instants may come again, and edits are not followed."""
    first = _content(acts[0])
    kept = [act["act"] for act in acts] == ["put", "deleted"]
    if not kept or first is None or first.fixed_delay_ms is not None:
        return None
    after_ms = 0 if first.at_ms is not None else acts[0]["upto_ms"]
    walls = [event.at_ms for event in log]
    return Account(
        config_id=config_id,
        certain=set(owed(first, after_ms, acts[-1]["from_ms"])),
        possible=set(owed(first, min(walls) - 1, max(walls))),
    )


def of_the_config(chapter: Chapter) -> list[str]:
    """I21 and I2: nothing fires early, nor while its config is gone, paused or disabled."""
    found: list[str] = []
    if not chapter.acts:
        return found
    idle: dict[str, set[str]] = {}
    pending = sorted(chapter.acts, key=lambda act: order(act["position"]))
    at = 0
    for event in chapter.log:
        while at < len(pending) and order(pending[at]["position"]) < order(event.cursor):
            _apply(idle.setdefault(pending[at]["config"], set()), pending[at])
            at += 1
        if event.kind is not EventKind.FIRED:
            continue
        for item in event.items:
            why = idle.get(item["config"], {"gone"})
            if why:
                found.append(f"I21: {item['task']} was fired: the config is {sorted(why)}")
    return found


def early(log: Log) -> list[str]:
    """I2: nothing fires before its instant."""
    return [
        f"I2: {item['task']} was fired early, at {event.at_ms}"
        for event in log
        if event.kind is EventKind.FIRED
        for item in event.items
        if event.at_ms < item["ms"]
    ]


def late(evidence: Evidence) -> list[str]:
    """I2: what fires far from any fault fires within ``lag_slo_ms``, if the run promises one."""
    slo_ms, calm_ms = evidence.run.get("lag_slo_ms"), evidence.run.get("calm_after_ms", 60_000)
    if slo_ms is None:
        return []
    troubled = [(f["at_ms"], f.get("upto_ms", f["at_ms"]) + calm_ms) for f in evidence.faults]
    return [
        f"I2: {item['task']} was fired {item['late']} ms late, without a fault"
        for event in evidence.last.log
        if event.kind is EventKind.FIRED
        for item in event.items
        if item["late"] > slo_ms
        and not any(at <= event.at_ms and item["ms"] <= upto for at, upto in troubled)
    ]


def overlaps(chapter: Chapter) -> list[str]:
    """I18, for every config whose overlap policy never changed."""
    found: list[str] = []
    for config_id, acts in lives(chapter).items():
        contents = [content for act in acts if (content := _content(act)) is not None]
        policies = {content.overlap for content in contents}
        if len(policies) == 1:
            found += overlap(chapter.log, config_id, policies.pop())
        if any(content.fixed_delay_ms is not None for content in contents):
            found += one_at_a_time(chapter.log, config_id)
    return found


def one_at_a_time(log: Log, config_id: str) -> list[str]:
    """A fixed-delay config fires only when its task before has ended."""
    return [
        f"I18: {item['task']} was fired while {sorted(live - {item['task']})} lived"
        for event, item, live in _lives(log, config_id)
        if event.kind is EventKind.FIRED and live != {item["task"]}
    ]


def overlap(log: Log, config_id: str, policy: str) -> list[str]:
    """I18, for a config whose overlap policy never changed.

    What is held goes by its instant: one that is fired later, and is for an earlier instant because
    the clock went back, is no newer run.
    """
    if policy == "allow":
        return []
    found: list[str] = []
    held: set[str] = set()
    for event, item, live in _lives(log, config_id):
        task_id = item["task"]
        others = live - {task_id}
        held &= live
        if event.kind is EventKind.FIRED:
            found += _fired_beside(item, others, held, policy)
            if item.get("held") and others:  # else what it waits for was fired before this log
                held.add(task_id)
        elif event.kind is EventKind.CLAIMED and task_id in live:
            free = others - held
            if task_id in held or free:
                found.append(f"I18: {task_id} was claimed while {sorted(free or others)} lived")
            held.discard(task_id)
        # Nothing else lives, so a held task stops waiting; the log has no entry of that.
        if held and held == live:
            held.remove(min(held, key=_instant_of))
    return found


def _fired_beside(item: Line, others: set[str], held: set[str], policy: str) -> Iterator[str]:
    task_id = item["task"]
    if not item.get("held"):
        if others:
            yield f"I18: {task_id} runs by {policy} while {sorted(others)} lives"
        return
    if policy == "skip":
        yield f"I18: {task_id} was held by {policy}"
    if held and policy != "queue_all":
        yield f"I18: {task_id} is held, and so is {sorted(held)}"


def _lives(log: Log, config_id: str) -> Iterator[tuple[Event, Line, set[str]]]:
    """The entries about a config's fired tasks, with those that live then, its own included.

    What a fire supersedes it ends in the same step, whose entry comes after that of the fire.
    """
    live: set[str] = set()
    for at, event in enumerate(log):
        for item in event.items:
            task_id = item.get("task")
            if task_id is None or not _fired_by(task_id, config_id):
                continue
            if event.kind is EventKind.FIRED:
                live |= {task_id}
                live -= _superseded_with(log, at)
            elif _ends(item):
                live -= {task_id}
            yield event, item, live


def _superseded_with(log: Log, at: int) -> set[str]:
    following = log[at + 1] if at + 1 < len(log) else None
    if following is None or following.kind is not EventKind.CANCELLED:
        return set()
    return {item["task"] for item in following.items if item["reason"] == "superseded"}


def _holds(skipped: Line, ms: int) -> bool:
    return bool(skipped["first"] <= ms <= skipped["last"])


def _ends(item: Line) -> bool:
    status = item.get("status")
    return status is not None and TaskStatus(status).terminal


def _instant_of(task_id: str) -> int:
    return int(task_id.rpartition("@")[2])


def _fired_by(task_id: str, config_id: str) -> bool:
    owner, _, instant = task_id.partition("@")
    return owner == config_id and instant.isdigit()


def _items(log: Iterable[Event], kind: EventKind, config_id: str | None = None) -> Iterator[Line]:
    for event in log:
        if event.kind is kind:
            for item in event.items:
                if config_id is None or item["config"] == config_id:
                    yield item


def _apply(idle: set[str], act: Line) -> None:
    """Keep why a config must not fire: gone, paused, disabled."""
    match act["act"]:
        case "put":
            idle -= {"gone", "disabled"}
            if not (act.get("content") or {}).get("enabled", True):
                idle |= {"disabled"}
        case "paused":
            idle |= {"paused"}
        case "resumed":
            idle -= {"paused"}
        case "deleted":
            idle.clear()
            idle |= {"gone"}
