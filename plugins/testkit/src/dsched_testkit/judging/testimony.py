"""What a simulated run can testify: its evidence, in the format that real processes write too."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import attrs

from dsched.contracts.store.events import Event
from dsched_testkit.evidence import FORMAT, Line, event_line, task_line
from dsched_testkit.instants import content_line
from dsched_testkit.kernel.bodies import Execution, Ledger
from dsched_testkit.kernel.recording import Act, Books, TakenAway
from dsched_testkit.memory import State

# A lease of 30 s, 1 s between polls, 12.5 s without a leader, 12 s of unbroken answers, 15 s until
# the missing pods are started; and the last beat of a dead worker may be on its way for 60 s.
RECOVERY_BOUND_MS = 131_000
LOSS_BOUND_S = 2.0
EMPTY_AT_REST = ("ready", "delayed", "queues", "leases", "held", "due", "live")


@attrs.frozen(kw_only=True)
class Loss:
    """A time (virtual s) whose writes the store may have lost, though it acknowledged them."""

    from_s: float
    upto_s: float
    kind: str


@attrs.frozen(kw_only=True)
class Past:
    """A history whose end the store lost: what it held before the loss, and what was kept."""

    kept: int
    log: tuple[Event, ...]
    acts: tuple[Act, ...]
    taken: tuple[TakenAway, ...]


@attrs.define(kw_only=True)
class Testimony:
    """All that is known about a run. `lines` are its evidence."""

    source: str
    state: State
    books: Books
    ledger: Ledger
    said: list[Line] = attrs.field(factory=list)
    past: list[Past] = attrs.field(factory=list)
    losses: list[Loss] = attrs.field(factory=list)
    faults: list[Line] = attrs.field(factory=list)
    rest: Mapping[str, Any] = attrs.field(factory=dict)
    recovery_bound_ms: int = RECOVERY_BOUND_MS
    principals: tuple[str, ...] = ("client",)

    def bury(self, kept: int) -> None:
        """The store is about to lose what it holds after position ``kept``."""
        self.past.append(
            Past(
                kept=kept,
                log=tuple(self.state.log),
                acts=tuple(self.books.acts),
                taken=tuple(self.books.taken),
            )
        )

    def lines(self) -> Iterator[Line]:
        """The evidence, in an order that a reader can take it in."""
        yield {
            "line": "run",
            "format": FORMAT,
            "source": self.source,
            "principals": list(self.principals),
            "at_rest": True,
            "recovery_bound_ms": self.recovery_bound_ms,
            "loss_bound_s": LOSS_BOUND_S,
        }
        yield from self._histories()
        yield {"line": "clock", "store_ms": self.state.mark_ms, "gen": self.state.clock_gen}
        yield from self.said
        yield from _ledger(self.ledger)
        yield from self.faults
        for row in self.state.tasks.values():
            yield {"line": "task", **task_line(row.view(full=True))}
        yield {
            "line": "census",
            "families": {name: _size(getattr(self.state, name)) for name in EMPTY_AT_REST},
            "empty_at_rest": EMPTY_AT_REST,
        }
        yield {"line": "rest", **self.rest}

    def _histories(self) -> Iterator[Line]:
        known = 0
        for past, loss in zip(self.past, self.losses, strict=True):
            yield from _history(past.log, past.acts, past.taken, known)
            known = past.kept
            yield {"line": "lost", "kept": _cursor(known), **attrs.asdict(loss)}
        books = self.books
        yield from _history(self.state.log, books.acts, books.taken, known)


def _history(
    log: Iterable[Event], acts: Iterable[Act], taken: Iterable[TakenAway], known: int
) -> Iterator[Line]:
    for event in log:
        if int(event.cursor) > known:
            yield event_line(event)
    for act in acts:
        if act.position > known:
            yield _act(act)
    for one in taken:
        if one.position > known:
            yield {
                "line": "reap",
                "task": one.task_id,
                "at_ms": one.at_ms,
                "lease_until_ms": one.lease_until_ms,
            }


def _act(act: Act) -> Line:
    content = {} if act.config is None else {"content": content_line(act.config)}
    return {
        "line": "act",
        "config": act.config_id,
        "act": act.act,
        "position": _cursor(act.position),
        "from_ms": act.boundary_ms,
        "upto_ms": act.boundary_ms,
        **content,
    }


def _ledger(ledger: Ledger) -> Iterator[Line]:
    for one in ledger.began:
        yield _execution("start", one)
    for one, result in ledger.ended:
        yield {**_execution("end", one), "result": result}


def _execution(line: str, one: Execution) -> Line:
    return {
        "line": line,
        "task": one.task_id,
        "attempt": one.attempt,
        "worker": one.worker_id,
        "at_s": one.at_s,
    }


def trouble(upto_ms: int, dead: Iterable[str]) -> list[Line]:
    """What went wrong: until then everything might, and the dead workers were killed by it."""
    return [
        {"line": "fault", "kind": "trouble", "at_ms": 0, "upto_ms": upto_ms},
        *(
            {"line": "fault", "kind": "kill", "at_ms": upto_ms + 1, "worker": worker_id}
            for worker_id in dead
        ),
    ]


def _size(kept: Any) -> int:
    if isinstance(kept, dict):
        return sum(len(one) if isinstance(one, (list, set)) else 1 for one in kept.values())
    return len(kept)


def _cursor(number: int) -> str:
    return f"{number:016d}"
