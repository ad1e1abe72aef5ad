"""Typed clients of dsched's HTTP API: `Client` blocks, `AsyncClient` awaits."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dsched_client.aio.client import AsyncClient, AsyncTaskHandle
    from dsched_client.errors import (
        ApiError,
        AuthenticationError,
        ClientError,
        ConflictError,
        ForbiddenError,
        InvalidError,
        NotFoundError,
        PreconditionError,
        ProtocolError,
        TaskEndedBadlyError,
        TooManyRequestsError,
        UnavailableError,
        UnreachableError,
    )
    from dsched_client.sync.client import Client, TaskHandle

__all__ = [
    "ApiError",
    "AsyncClient",
    "AsyncTaskHandle",
    "AuthenticationError",
    "Client",
    "ClientError",
    "ConflictError",
    "ForbiddenError",
    "InvalidError",
    "NotFoundError",
    "PreconditionError",
    "ProtocolError",
    "TaskEndedBadlyError",
    "TaskHandle",
    "TooManyRequestsError",
    "UnavailableError",
    "UnreachableError",
]

# Loaded on first use: the blocking client does not need aiohttp, and the other way round.
_HOMES = {
    "AsyncClient": "dsched_client.aio.client",
    "AsyncTaskHandle": "dsched_client.aio.client",
    "Client": "dsched_client.sync.client",
    "TaskHandle": "dsched_client.sync.client",
}


def __dir__() -> list[str]:
    """Also what is loaded on first use."""
    return sorted({*globals(), *__all__})


def __getattr__(name: str) -> Any:
    """Import what is first asked for."""
    if name not in __all__:
        raise AttributeError(f"module 'dsched_client' has no attribute {name!r}")
    value = getattr(import_module(_HOMES.get(name, "dsched_client.errors")), name)
    globals()[name] = value
    return value
