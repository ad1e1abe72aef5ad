"""Opens what a provider offers, or says which plugin's `open` cannot be used."""

import inspect
from contextlib import AbstractAsyncContextManager
from typing import Any

from dsched.loading.catalogue import Installed
from dsched.loading.faults import Fault, PluginError

HOW_TO_OPEN = "decorate it with @asynccontextmanager of contextlib, and yield what it opens"


def opened_by(one: Installed[Any], *arguments: Any) -> AbstractAsyncContextManager[Any]:
    """The context manager of a provider's `open`; nothing is opened before it is entered.

    `PluginError`, naming the distribution, if that is no async context manager.
    """
    where = f"provider {one.provider.name!r}"
    try:
        context = one.provider.open(*arguments)
    except Exception as error:
        reason = f"{where}: its open raised {type(error).__name__}: {error}"
        raise PluginError([Fault(one.distribution, one.version, reason)]) from error
    if isinstance(context, AbstractAsyncContextManager):
        return context
    if inspect.iscoroutine(context):
        context.close()
    reason = (
        f"{where}: its open gives a value of type {type(context).__name__}, which is no "
        f"async context manager: {HOW_TO_OPEN}"
    )
    raise PluginError([Fault(one.distribution, one.version, reason)])
