"""``dsched-run --check``: says whether this pod would start, without starting it."""

from collections.abc import Iterable

from dsched.assembly import store_opener
from dsched.config import LoadedSettings
from dsched.loading import Catalogue
from dsched.model import TaskConfig


async def check(
    loaded: LoadedSettings, catalogue: Catalogue, tasks: Iterable[TaskConfig]
) -> list[str]:
    """What was found, a line each. Raises what a start would raise."""
    lines = [f"config: {loaded.file or 'defaults'}: ok"]
    lines += [f"warning: {warning}" for warning in (*catalogue.warnings, *loaded.warnings)]
    lines += _plugins(catalogue)
    lines.append(f"store: {loaded.settings.store}: {await _store(loaded, catalogue)}")
    ids = [task.id for task in tasks]
    lines.append(f"tasks: {len(ids)} ok" + (f": {', '.join(ids[:10])}" if ids else ""))
    return lines


async def _store(loaded: LoadedSettings, catalogue: Catalogue) -> str:
    """How the store is, without creating one."""
    name = loaded.settings.store
    absent = catalogue.stores[name].provider.absent(loaded.stores[name])
    if absent is not None:
        return absent
    async with store_opener(loaded, catalogue)() as store:
        counts = await store.counts()
    return f"ok, {counts.configs} configs"


def _plugins(catalogue: Catalogue) -> list[str]:
    kinds = {
        "executor": catalogue.executors,
        "balancer": catalogue.balancers,
        "store": catalogue.stores,
        "observer": catalogue.observers,
        "service": catalogue.services,
    }
    return [
        f"{kind}: {name} ({one.distribution} {one.version})"
        for kind, installed in kinds.items()
        for name, one in installed.items()
    ]
