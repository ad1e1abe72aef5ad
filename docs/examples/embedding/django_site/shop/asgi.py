"""The ASGI application: Django for requests, and a pod for the lifespan that Django leaves out."""

import os
from contextlib import AsyncExitStack
from typing import Any

from django.conf import settings
from django.core.asgi import get_asgi_application

import dsched

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
django_application = get_asgi_application()

from shop import tasks  # noqa: E402, F401 - registers functions, which may use models


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Requests go to Django; the server's start and stop to dsched."""
    if scope["type"] != "lifespan":
        await django_application(scope, receive, send)
        return
    async with AsyncExitStack() as stack:
        await receive()  # lifespan.startup
        try:
            pod = await stack.enter_async_context(dsched.pod(settings.DSCHED))
        except Exception as error:
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            raise
        scope["state"]["client"] = pod.client  # each request has the state
        await send({"type": "lifespan.startup.complete"})
        await receive()  # lifespan.shutdown
    await send({"type": "lifespan.shutdown.complete"})
