"""Puts the configs that this pod was started with, each under the origin that declares it."""

from collections.abc import Sequence

from dsched.client import Client
from dsched.contracts.store.outcomes import StoreUnavailableError
from dsched.declaring import Declared, Source, declare, report
from dsched.engine.runtime import Runtime
from dsched.engine.store_calls import Patience


async def put_all(
    client: Client, sources: Sequence[Source], *, adopt: bool, runtime: Runtime
) -> None:
    """Put what files and code declare. Equal content changes nothing, so every pod may.

    What another origin declares stays as it is and is logged: the pod has other work to do.
    """
    for source in sources:
        report(await _declared(client, source, adopt=adopt, runtime=runtime))


async def _declared(client: Client, source: Source, *, adopt: bool, runtime: Runtime) -> Declared:
    """Repeat until the store has answered to all of it; what is done already is then unchanged."""
    patience = Patience(runtime, f"putting the configs of {source.origin}")
    while True:
        try:
            declared = await declare(
                client, source.configs, origin=source.origin, adopt=adopt, orphan=source.orphans
            )
        except StoreUnavailableError as error:
            await patience.wait(error)
        else:
            patience.answered()
            return declared
