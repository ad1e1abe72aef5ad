"""What the tasks of a throughput run carry and return: the cases. Needs no package.

Every task of a case differs from every other in its payload and its result, unless the case says
so. `clients/bullmq.mjs` makes the same values.
"""

import json
from functools import cache
from typing import Any, NamedTuple

REAL = "realistic"
LARGER = "4 kB payload"
PLAIN = "no-op"
NOTHING_CACHED = "nothing"
ROUTED, LIMITED = 1, 2


class Case(NamedTuple):
    """Bytes of payload and result as JSON without spaces; ``log``: lines that a task logs;
    ``routed``: `ROUTED`, it has a start deadline and labels, or `LIMITED`, it names the limit of a
    tenant of its own. ``caches`` says what of a task is the same in all of them. ``share``: of the
    tasks of a run, since some take long. ``peers``: they do it too."""

    payload: int
    result: int
    log: int = 0
    routed: int = 0
    caches: str = NOTHING_CACHED
    share: float = 1.0
    peers: bool = False

    @property
    def sizes(self) -> tuple[int, int, int, int]:
        """As a client is told it."""
        return self.payload, self.result, self.log, self.routed


CASES = {
    REAL: Case(200, 100, peers=True),
    LARGER: Case(4_000, 100, share=0.5, peers=True),
    "256 kB payload": Case(250_000, 100, share=0.01),
    "1 MB result": Case(200, 1_000_000, share=0.005),
    "hundred log lines": Case(200, 100, log=100, share=0.05),
    "start deadline and labels": Case(200, 100, routed=ROUTED),
    "a limit of their own tenant": Case(200, 100, routed=LIMITED),
    PLAIN: Case(
        0,
        0,
        caches="everything: tasks share one payload without arguments and return nothing, so that "
        "texts and what is made of them may be kept",
        peers=True,
    ),
}
# What a throughput run finds, of whichever case.
_FIGURES = ("submitted a second", "tasks a second, ", "worker CPU, us a task")


def case_of(figure: str) -> str:
    """The case whose figure this is; of no-op tasks where none is named."""
    return next((name for name in CASES if figure.endswith(f", {name}")), PLAIN)


def rank(figure: str) -> int:
    """The place of a figure on the page: what users run comes first."""
    return list(CASES).index(case_of(figure))


def told(figure: str) -> str:
    """What a throughput run's tasks carry, and what of it may be cached; nothing of other
    figures."""
    if not figure.startswith(_FIGURES):
        return ""
    case = CASES[case_of(figure)]
    carried = (
        f"Payload of {case.payload:,} bytes, result of {case.result:,}. " if case.payload else ""
    )
    return f"{carried}Cached is {case.caches}."


FILLER = "leave it at the door, "
_FIRST_ORDER = 10_000_000
_NOTE = FILLER * (1_000_000 // len(FILLER) + 1)
_RESULT_AROUND = 57  # its note left out; all orders and totals have the same width


def payload(sizes: tuple[int, ...], number: int) -> dict[str, Any]:
    """The arguments of a task."""
    return _order(sizes, number, _note(sizes))


def result(order: int, answer: int) -> dict[str, Any]:
    """What a task returns that was asked for so many bytes."""
    note = _NOTE[: answer - _RESULT_AROUND]
    return {"order": order, "state": "done", "total": 140.5 + order % 100, "note": note}


def _order(sizes: tuple[int, ...], number: int, note: str) -> dict[str, Any]:
    return {
        "order": _FIRST_ORDER + number,
        "customer": f"customer-{number:08d}",
        "items": [
            {"sku": f"A-{number % 997:04d}", "count": 2, "price": 9.75},
            {"sku": "B-0077", "count": 1, "price": 120.5},
        ],
        "answer": sizes[1],
        "log": sizes[2],
        "note": note,
    }


@cache
def _note(sizes: tuple[int, ...]) -> str:
    around = len(json.dumps(_order(sizes, 0, ""), separators=(",", ":")))
    return _NOTE[: sizes[0] - around]
