"""The scenarios of targets that call back: what is said of an attempt while its worker may die."""

from functools import partial

import attrs

from dsched.contracts.store.callbacks import Inbox, post
from dsched.contracts.store.outcomes import Outcome
from dsched_testkit.sweep.play import scenario
from dsched_testkit.sweep.scenarios import AGAIN, spec, two_pods
from dsched_testkit.sweep.stage import Stage, User

GOOD = {"success": True, "code": "ok", "message": "", "data": None, "retryable": True}
BAD = {"success": False, "code": "no", "message": "no", "data": None, "retryable": True}


def _tells(inbox: Inbox) -> Inbox:
    return attrs.evolve(inbox, progress={"done": 1}, lines=(("info", "begins"),), seen=1)


def _completes(attempt: int, inbox: Inbox) -> Inbox | Outcome:
    return Outcome.DUP if inbox.done else attrs.evolve(inbox, done=BAD if attempt == 1 else GOOD)


async def _target(stage: Stage, user: User) -> None:
    """Say of each attempt that it has been told of how it ended: the first fails."""
    await user.attempt(user.submit(spec("callback", retry=AGAIN), task_id="called"))
    said: set[int] = set()
    while not stage.is_ended("called") and len(said) < 4:
        await stage.until(
            lambda: stage.is_ended("called") or bool(stage.ledger.tokens.keys() - said),
            "an attempt waits for its callback",
        )
        told = sorted(stage.ledger.tokens.keys() - said)
        if not told:
            return
        for attempt in told:
            token = stage.ledger.tokens[attempt]
            await post(user.store, "called", attempt, token=token, change=_tells)
            completes = partial(_completes, attempt)
            await post(user.store, "called", attempt, token=token, change=completes)
            said.add(attempt)


@scenario("completed retrying", "completed success")
async def calls_back(stage: Stage) -> None:
    """An attempt that its target completes as failed, and the next one that it completes well."""
    await two_pods(stage)
    await stage.user(partial(_target, stage))
    await stage.ended("called")
