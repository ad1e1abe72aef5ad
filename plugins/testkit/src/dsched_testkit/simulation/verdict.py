"""What the checker says about a whole run, the paths it took, and the entries that explain it."""

import re
from collections import Counter
from itertools import pairwise

from dsched.contracts.steps import EventKind
from dsched_testkit.checker import History
from dsched_testkit.memory import State
from dsched_testkit.simulation.bodies import Ledger
from dsched_testkit.simulation.instants import owed
from dsched_testkit.simulation.recording import Act, Books, Lives

EXCERPT_LINES = 25


def violations(
    history: History, state: State, books: Books, ledger: Ledger, *, clock_back: bool
) -> tuple[list[str], int]:
    """Every violation, and how many configs' instants were accounted for one by one."""
    found = history.problems()
    found += history.cancels_win()
    found += history.at_most_once()
    found += history.retry_delays()
    found += history.results_kept(books.results)
    found += history.ran({(one.task_id, one.attempt) for one in ledger.began})
    found += history.clock_events()
    found += history.fires_are_of_the_config(
        (act.position, act.config_id, act.act, act.config is not None and act.config.enabled)
        for act in books.acts
    )
    if not clock_back:
        found += history.skips_hold(books.skips)
    lives = books.lives()
    for config_id in lives:
        policy = books.overlap_of(config_id)
        if policy is not None:
            found += history.overlaps(config_id, policy)
        if config_id.startswith("delay"):
            found += history.one_at_a_time(config_id)
    accounts = _backwards(history, state, lives) if clock_back else _exactly(history, lives)
    return found + [line for account in accounts for line in account], len(accounts)


def _exactly(history: History, lives: Lives) -> list[list[str]]:
    """Every instant of every revision, exactly once. An `at` is owed whenever it was put."""
    accounts = []
    for config_id, acts in lives.items():
        if config_id.startswith("at"):
            first = acts[0].config
            instants = owed(first, 0, acts[-1].boundary_ms) if first else []
            accounts.append(history.unaccounted(config_id, instants))
        elif not config_id.startswith("delay"):
            accounts.append(history.unaccounted(config_id, owed_by(acts)))
    return accounts


def _backwards(history: History, state: State, lives: Lives) -> list[list[str]]:
    """Where the wall clock was set back, instants may come again, and edits are not followed."""
    walls = [event.at_ms for event in state.log]
    accounts = []
    for config_id, acts in lives.items():
        first = acts[0].config
        kept = [act.act for act in acts] == ["put", "deleted"]
        if kept and first is not None and not config_id.startswith("delay"):
            after_ms = 0 if config_id.startswith("at") else acts[0].boundary_ms
            instants = owed(first, after_ms, acts[-1].boundary_ms)
            possible = owed(first, min(walls) - 1, max(walls)) + instants
            accounts.append(history.covered(config_id, instants, possible))
    return accounts


def owed_by(acts: list[Act]) -> list[int]:
    """What a config owed over all its revisions: each from its act to the next."""
    instants: list[int] = []
    for act, following in pairwise(acts):
        if act.config is not None:
            instants += owed(act.config, act.boundary_ms, following.boundary_ms)
    return instants


def recovery_paths(state: State) -> Counter[str]:
    """The ways out of trouble that the log shows, by name."""
    seen: Counter[str] = Counter()
    for event in state.log:
        for item in event.items:
            name = event.kind.value
            if event.kind is EventKind.FIRED:
                name += " held" if item.get("held") else ""
            elif event.kind in (EventKind.LEADER, EventKind.WORKER, EventKind.CONFIG):
                name += f" {item['act']}"
            elif event.kind is EventKind.RECALLED:
                name += " stalled" if item.get("stalled") else ""
            elif event.kind is EventKind.COMPLETED:
                reason = item.get("reason", "")
                name += f" {item['status']}" + (f" {reason}" if reason in _REASONS else "")
            elif event.kind in (EventKind.RELEASED, EventKind.REAPED):
                name += f" {item['status']}"
                name += " poison" if item.get("reason") == "poison" else ""
            elif event.kind in (EventKind.SKIPPED, EventKind.CANCELLED):
                reason = item["reason"]
                name += f" {reason}" if event.kind is EventKind.SKIPPED or reason in _ENDS else ""
            seen[name] += 1
    return seen


_REASONS = {"timeout", "retries exhausted", "not retryable"}
_ENDS = {"superseded", "expired"}


def excerpt(state: State, found: list[str]) -> list[str]:
    """The last entries of the log about what the first violation names: a task, a config, a fence.

    For an instant, those of its config up to what came after it.
    """
    if not found:
        return []
    names = set(_NAME.findall(found[0]))
    configs = {name.partition("@")[0] for name in names if "@" in name}
    lines = []
    for event in state.log:
        for item in event.items:
            values = {str(value) for value in item.values()}
            if names & (values | {event.by, event.cursor}) or item.get("config") in configs:
                said = f"by {event.by}: {dict(item)}"
                lines.append(f"{event.cursor.lstrip('0')} {event.at_ms} {event.kind} {said}")
    return lines[-EXCERPT_LINES:]


_NAME = re.compile(r"[A-Za-z0-9][\w.:@-]*[A-Za-z0-9]")
