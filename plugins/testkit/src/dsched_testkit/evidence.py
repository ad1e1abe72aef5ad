"""Evidence of a run: what was seen of it, line by line, in the format of docs/evidence.md.

A harness that runs a cluster, simulated or of real processes, writes it; the checker judges it.
"""

import json
import os
import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeAlias

import attrs

from dsched.contracts.store.events import Event, EventKind
from dsched.model import JsonValue, Resumption, Step, Task, Workflow
from dsched.model.pins import pin_of
from dsched.planning.runs import RunProgress

FORMAT = 1

Line: TypeAlias = Mapping[str, Any]

# The kinds of line, with the keys that each must have.
KINDS: dict[str, frozenset[str]] = {
    "run": frozenset({"format", "source"}),
    "event": frozenset({"cursor", "kind", "at_ms", "by", "items"}),
    "lost": frozenset({"kept", "from_s", "upto_s"}),
    "act": frozenset({"config", "act", "position", "from_ms", "upto_ms"}),
    "invoke": frozenset({"op", "at_s", "call"}),
    "ok": frozenset({"op", "at_s"}),
    "fail": frozenset({"op", "at_s"}),
    "info": frozenset({"op", "at_s"}),
    "start": frozenset({"task", "attempt", "at_s"}),
    "end": frozenset({"task", "attempt", "at_s"}),
    "fault": frozenset({"kind", "at_ms"}),
    "reap": frozenset({"task", "at_ms", "lease_until_ms"}),
    "clock": frozenset({"store_ms", "gen"}),
    "task": frozenset({"task", "status"}),
    "census": frozenset({"families"}),
    "rest": frozenset({"waiting", "after_s", "bound_s"}),
}


class EvidenceError(ValueError):
    """A line that is not evidence: what is wrong with it, and where it stands."""


@attrs.define(kw_only=True)
class Chapter:
    """One history of the store: its own entries after those that it kept of the one before."""

    log: list[Event] = attrs.field(factory=list)
    acts: list[Line] = attrs.field(factory=list)
    clocks: list[Line] = attrs.field(factory=list)
    began_at: int = 0

    def branch(self, kept: str) -> "Chapter":
        """The history that goes on after ``kept``, the rest being lost."""
        log = [event for event in self.log if order(event.cursor) <= order(kept)]
        acts = [act for act in self.acts if order(act["position"]) <= order(kept)]
        return Chapter(log=log, acts=acts, began_at=len(log))

    @property
    def own(self) -> list[Event]:
        """The entries that no earlier history has."""
        return self.log[self.began_at :]


@attrs.define(kw_only=True)
class Operation:
    """One call of a client: how it was invoked, and how it ended (``ok``, ``fail``, ``info``)."""

    call: Line
    end: Line | None = None

    @property
    def ended(self) -> str:
        """``info`` until the outcome is known."""
        return "info" if self.end is None else str(self.end["line"])


@attrs.define(kw_only=True)
class Evidence:
    """All lines of a run, sorted by what they are about. The last chapter is what is stored now."""

    run: dict[str, Any] = attrs.field(factory=dict)
    chapters: list[Chapter] = attrs.field(factory=lambda: [Chapter()])
    losses: list[Line] = attrs.field(factory=list)
    operations: dict[str, Operation] = attrs.field(factory=dict)
    starts: list[Line] = attrs.field(factory=list)
    ends: list[Line] = attrs.field(factory=list)
    faults: list[Line] = attrs.field(factory=list)
    reaps: list[Line] = attrs.field(factory=list)
    tasks: dict[str, Line] = attrs.field(factory=dict)
    censuses: list[Line] = attrs.field(factory=list)
    rests: list[Line] = attrs.field(factory=list)
    lines: int = 0

    @property
    def last(self) -> Chapter:
        """The history that the store has now."""
        return self.chapters[-1]

    def of_kind(self, kind: str) -> list[Line]:
        """The faults of one kind."""
        return [fault for fault in self.faults if fault["kind"] == kind]

    def add(self, line: Line) -> None:
        """Take one line; `EvidenceError` for one that is none."""
        kind = line.get("line")
        missing = KINDS.get(str(kind), frozenset({"line"})) - line.keys()
        if kind not in KINDS or missing:
            raise EvidenceError(
                f"{_short(line)}: no such kind of line"
                if kind not in KINDS
                else f"{_short(line)}: it lacks {', '.join(sorted(missing))}"
            )
        self.lines += 1
        getattr(self, f"_{kind}")(line)

    def _run(self, line: Line) -> None:
        if line["format"] != FORMAT:
            raise EvidenceError(f"format {line['format']} is not {FORMAT}: use that dsched-testkit")
        self.run.update(line)

    def _event(self, line: Line) -> None:
        event = Event(
            cursor=line["cursor"],
            kind=EventKind(line["kind"]),
            at_ms=line["at_ms"],
            by=line["by"],
            items=tuple(line["items"]),
        )
        log = self.last.log
        if log and order(event.cursor) <= order(log[-1].cursor):
            if event in log:
                return  # the exporter may begin again from an earlier entry
            raise EvidenceError(
                f"{_short(line)}: it comes after {log[-1].cursor}; where a store lost its last "
                "entries, a lost line tells which it kept"
            )
        log.append(event)

    def _lost(self, line: Line) -> None:
        self.losses.append(line)
        self.chapters.append(self.last.branch(line["kept"]))

    def _act(self, line: Line) -> None:
        self.last.acts.append(line)

    def _clock(self, line: Line) -> None:
        self.last.clocks.append(line)

    def _invoke(self, line: Line) -> None:
        self.operations[line["op"]] = Operation(call=line)

    def _ended(self, line: Line) -> None:
        operation = self.operations.get(line["op"])
        if operation is None:
            raise EvidenceError(f"{_short(line)}: nothing was invoked as {line['op']}")
        operation.end = line

    _ok = _fail = _info = _ended

    def _start(self, line: Line) -> None:
        self.starts.append(line)

    def _end(self, line: Line) -> None:
        self.ends.append(line)

    def _fault(self, line: Line) -> None:
        self.faults.append(line)

    def _reap(self, line: Line) -> None:
        self.reaps.append(line)

    def _task(self, line: Line) -> None:
        self.tasks[line["task"]] = line

    def _census(self, line: Line) -> None:
        self.censuses.append(line)

    def _rest(self, line: Line) -> None:
        self.rests.append(line)


def order(cursor: str) -> tuple[int, ...]:
    """Cursors of any store, in the store's order: numbers, or ``ms-number`` of a Redis stream."""
    return tuple(int(part) for part in str(cursor).split("-"))


def gathered(lines: Iterable[Line]) -> Evidence:
    """The evidence in these lines. Those of the store must be in the store's order."""
    evidence = Evidence()
    for line in lines:
        evidence.add(line)
    return evidence


def read(paths: Iterable[Path]) -> Evidence:
    """The evidence in these files, taken one after the other; `EvidenceError` names the place.

    A last line without its end is the trace of a killed writer, and is left out.
    """
    evidence = Evidence()
    for path in paths:
        with path.open(encoding="utf-8") as lines:
            for number, text in enumerate(lines, 1):
                if not text.endswith("\n"):
                    continue
                try:
                    evidence.add(json.loads(text))
                except (ValueError, TypeError, AttributeError) as error:
                    raise EvidenceError(f"{path}:{number}: {error}") from error
    return evidence


def task_line(task: Task) -> dict[str, JsonValue]:
    """A stored task as a line of evidence."""
    line: dict[str, JsonValue] = {
        "task": task.id,
        "status": task.status.value,
        "home": None if task.home is None else task.home.value,
        "reason": task.reason,
        "attempt": task.attempt,
    }
    if task.spec is not None:
        retry = task.spec.retry
        line["policy"] = {
            "max_retries": retry.max_retries,
            "retry_delay_ms": retry.retry_delay.total_seconds() * 1000,
            "backoff_rate": retry.backoff_rate,
            "max_delay_ms": retry.max_delay.total_seconds() * 1000,
            "jitter": retry.jitter,
            "on_crash": task.spec.on_crash.value,
        }
        if task.spec.workflow is not None:
            line["steps"] = _steps(task.spec.workflow, task.spec.resumes)
        if task.spec.member is not None and task.spec.member.total is not None:
            line["total"] = task.spec.member.total
        if (pin := pin_of(task.spec.required_labels)) is not None:
            line["pin"] = pin
    if task.result is not None:
        line["result"] = task.result.data
    return line


def _steps(flow: Workflow, resumes: Resumption | None) -> dict[str, JsonValue]:
    """The steps of a run, each with the number of members that are not taken over from another; of
    a list, or with a member for each worker, with how many are, since only its members say how many
    there are."""
    return {
        step_id: {
            "members": one.members,
            **({} if one.counted else {"listed": True, "taken": one.done}),
            **_conditions(flow.step(step_id)),
        }
        for step_id, one in RunProgress(flow, resumes).steps.items()
    }


def _conditions(step: Step | None) -> dict[str, JsonValue]:
    if step is None:
        return {}
    return {
        "needs": list(step.needs),
        "when": step.when.value,
        "allow_failure": step.allow_failure,
    }


def event_line(event: Event) -> dict[str, JsonValue]:
    """The line of a log's entry."""
    return {
        "line": "event",
        "cursor": event.cursor,
        "kind": event.kind.value,
        "at_ms": event.at_ms,
        "by": event.by,
        "items": [dict(item) for item in event.items],
    }


class Recorder:
    """Appends lines to a file of one process: each is in the file before `write` returns.

    Threads may share one. A process that dies leaves at most its last line incomplete.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self._lock = threading.Lock()

    def write(self, line: str, /, **fields: JsonValue) -> None:
        """Write one line of that kind; ``EvidenceError`` if it lacks what its kind must have."""
        missing = KINDS[line] - fields.keys()
        if missing:
            raise EvidenceError(f"a {line} line lacks {', '.join(sorted(missing))}")
        text = json.dumps({"line": line, **fields}, separators=(",", ":")) + "\n"
        data = text.encode()
        with self._lock:
            while data:
                data = data[os.write(self._file, data) :]

    def event(self, event: Event) -> None:
        """Write an entry of the store's log."""
        fields = event_line(event)
        fields.pop("line")
        self.write("event", **fields)

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def by_task(log: Iterable[Event]) -> dict[str, list[tuple[Event, Mapping[str, JsonValue]]]]:
    """The entries about each task, in the log's order."""
    found: defaultdict[str, list[tuple[Event, Mapping[str, JsonValue]]]] = defaultdict(list)
    for event, item in task_items(log):
        found[item["task"]].append((event, item))
    return found


def task_items(log: Iterable[Event]) -> Iterator[tuple[Event, Mapping[str, JsonValue]]]:
    """Each item of the log that is about a task, with its entry."""
    for event in log:
        for item in event.items:
            if "task" in item:
                yield event, item


def _short(line: object) -> str:
    text = json.dumps(line, default=str)
    return text if len(text) <= 200 else text[:197] + "..."
