"""Histories of runs, made by hand: each that breaks an invariant is told, and no good one is."""

from collections.abc import Mapping
from typing import Any

import pytest

from dsched.contracts.store.events import Event, EventKind
from dsched_testkit.checks.runs import runs


def log(*entries: tuple[str, Mapping[str, Any]]) -> list[Event]:
    """A log of these entries."""
    return [
        Event(cursor=str(at), kind=EventKind(kind), at_ms=at, by="1:t:a", items=(item,))
        for at, (kind, item) in enumerate(entries)
    ]


def born(name: str) -> tuple[str, Mapping[str, Any]]:
    return "born", {"task": f"r~{name}", "run": "r"}


def done(name: str) -> tuple[str, Mapping[str, Any]]:
    return "completed", {"task": f"r~{name}", "status": "success"}


MADE = ("submitted", {"task": "r"})
ENDED = ("run_ended", {"task": "r", "status": "success", "run": 5})
ASKED = ("cancel_requested", {"task": "r", "reason": "x"})
SKIPPED = ("step_skipped", {"run": "r", "step": "c", "status": "failed", "reason": "x"})


def test_a_run_that_goes_as_it_should_breaks_nothing() -> None:
    good = (MADE, born("a"), done("a"), SKIPPED, born("b"), done("b"), ENDED)
    assert runs(log(*good)) == []
    assert runs(log(*good, *good)) == []  # pruned, and made again


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ((born("a"), born("a")), "I23: r~a was born twice"),
        ((born("a"), ASKED, born("b")), "I23: r~b was born when its run was to be cancelled"),
        ((born("a"), done("a"), ENDED, born("b")), "I23: r~b was born when its run had ended"),
        ((born("a"), done("a"), ENDED, ENDED), "I24: run r ended twice"),
        ((born("a"), born("b"), done("a"), ENDED), "I24: run r ended while r~b lived"),
        (
            (born("a"), ("completed", {"task": "r~a", "status": "retrying"}), ENDED),
            "I24: run r ended while r~a lived",
        ),
    ],
)
def test_a_run_that_does_not_is_told(entries: Any, said: str) -> None:
    assert said in runs(log(MADE, *entries))
