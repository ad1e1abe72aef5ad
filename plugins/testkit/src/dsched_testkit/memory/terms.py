"""Terms of leadership in the reference store."""

import attrs

from dsched.contracts.store.operating import MAX_TERMS, Term
from dsched_testkit.memory.state import Step


def begin_term(step: Step, epoch: int, pod: str) -> None:
    """Remember a new term; one before it that nobody ended has expired."""
    end_term(step, "expired")
    step.state.terms.append(Term(epoch=epoch, pod=pod, began_ms=step.wall_ms))
    del step.state.terms[:-MAX_TERMS]


def end_term(step: Step, how: str, who: str = "", why: str = "") -> None:
    """Remember how the last term ended, unless that is known."""
    terms = step.state.terms
    if terms and terms[-1].ended_ms is None:
        terms[-1] = attrs.evolve(terms[-1], ended_ms=step.wall_ms, how=how, who=who, why=why)
