"""Puts the configs that this pod was started with, each under the origin that declares it."""

import logging
from collections.abc import Sequence

from dsched.client import Client
from dsched.contracts.outcomes import StoreUnavailableError
from dsched.declaring import Declared, declare
from dsched.engine.calls import Patience
from dsched.engine.runtime import Runtime
from dsched.model import TaskConfig

log = logging.getLogger("dsched.run")


async def put_all(
    client: Client, tasks: Sequence[TaskConfig], *, adopt: bool, runtime: Runtime
) -> None:
    """Put the configs of the task files. Equal content changes nothing, so every pod may.

    What another origin declares stays as it is and is logged: the pod has other work to do.
    """
    for origin in dict.fromkeys(task.origin for task in tasks):
        wanted = [task for task in tasks if task.origin == origin]
        report(await _declared(client, wanted, origin=origin, adopt=adopt, runtime=runtime))


async def _declared(
    client: Client, wanted: Sequence[TaskConfig], *, origin: str, adopt: bool, runtime: Runtime
) -> Declared:
    """Repeat until the store has answered to all of it; what is done already is then unchanged."""
    patience = Patience(runtime, f"putting the configs of {origin}")
    while True:
        try:
            declared = await declare(client, wanted, origin=origin, adopt=adopt, orphan=False)
        except StoreUnavailableError as error:
            await patience.wait(error)
        else:
            patience.answered()
            return declared


def report(declared: Declared) -> None:
    """Log what became of each config."""
    for stored in declared.stored:
        log.info("config %s is in place (revision %d)", stored.config.id, stored.config.revision)
    for conflict in declared.conflicts:
        log.error(
            "config %s is not put: it is declared by %s, not by %s; remove it from one of them, or "
            "take it over with --adopt",
            conflict.id,
            conflict.origin,
            declared.plan.origin,
        )
    for config_id in declared.plan.orphan:
        log.warning(
            "config %s is paused: %s no longer declares it", config_id, declared.plan.origin
        )
