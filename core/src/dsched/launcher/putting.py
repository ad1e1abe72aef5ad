"""Puts the configs that this pod was started with, each under the origin that declares it."""

import logging
from collections.abc import Sequence

from dsched.client import Client
from dsched.contracts.store.outcomes import StoreUnavailableError
from dsched.declaring import (
    Keeper,
    Source,
    declare,
    declare_limits,
    keep,
    report,
    report_limits,
)
from dsched.engine.runtime import Runtime
from dsched.engine.store_calls import Patience, until_answered

log = logging.getLogger("dsched.run")

NOTHING_YET = (
    "nothing is scheduled here yet: write a task file, then start with `dsched-run --tasks "
    "tasks.yaml`, or leave this pod as it is and `dsched apply -f tasks.yaml`"
)


async def put_all(
    client: Client, sources: Sequence[Source], *, adopt: bool, runtime: Runtime, hint: bool = False
) -> list[Keeper]:
    """Put what files and code declare, limits first. Equal content changes nothing, so every pod
    may.

    What another origin declares stays as it is and is logged: the pod has other work to do. With
    ``hint`` a store that has no config at all is told of, with what to do next. The answer is what
    has to be looked after.
    """
    keepers = []
    for source in sources:
        if source.limits:
            await _limited(client, source, adopt=adopt, runtime=runtime)
    for source in sources:
        keeper = Keeper(client, source, adopt=adopt) if source.orphans else None
        await _declared(client, source, keeper=keeper, adopt=adopt, runtime=runtime)
        keepers += [keeper] if keeper is not None else []
    if hint and not any(source.configs for source in sources):
        counts = await until_answered(runtime, "the first look at the configs", client.counts)
        if not counts.configs:
            log.info(NOTHING_YET)
    return keepers


async def _declared(
    client: Client, source: Source, *, keeper: Keeper | None, adopt: bool, runtime: Runtime
) -> None:
    """Repeat until the store has answered to all of it; a repeat leaves what is done unchanged."""
    patience = Patience(runtime, f"putting the configs of {source.origin}")
    while True:
        try:
            if keeper is not None:
                await keeper.look()
            else:
                report(
                    await declare(
                        client, source.configs, origin=source.origin, adopt=adopt, orphan=False
                    )
                )
        except StoreUnavailableError as error:
            await patience.wait(error)
        else:
            patience.answered()
            return


async def _limited(client: Client, source: Source, *, adopt: bool, runtime: Runtime) -> None:
    """Repeat until the store has answered to all limits of a source."""
    patience = Patience(runtime, f"putting the limits of {source.origin}")
    while True:
        try:
            report_limits(
                await declare_limits(client, source.limits, origin=source.origin, adopt=adopt)
            )
        except StoreUnavailableError as error:
            await patience.wait(error)
        else:
            patience.answered()
            return


async def put_and_keep(
    client: Client, sources: Sequence[Source], *, adopt: bool, runtime: Runtime, hint: bool
) -> None:
    """`put_all`, then `keep`."""
    keepers = await put_all(client, sources, adopt=adopt, runtime=runtime, hint=hint)
    await keep(keepers, runtime.sleep)
