"""dsched: the lightest highly available task scheduler that can explain every fire.

What programs import: `task` to register functions, `schedule` to run them by
themselves, `run` or `pod` to run a pod inside a program, `connect`
to submit and read. Plugin authors import from `dsched.contracts` and `dsched.model`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from dsched.contracts.executor import TaskFailed
from dsched.contracts.store.outcomes import StoreUnavailableError
from dsched.errors import NoClientError
from dsched.functions.handles import TaskHandle
from dsched.functions.registry import FunctionContext, Registry, task
from dsched.functions.schedules import schedule
from dsched.functions.submitting import TaskFunction
from dsched.model import RetryPolicy, TaskConfig, TaskResult, TaskSpec

if TYPE_CHECKING:
    from dsched.client import Client
    from dsched.client.blocking import BlockingClient, BlockingHandle
    from dsched.embedding import EmbeddedPod, StartStoppedError, connect, connect_blocking, pod
    from dsched.launcher.program import run

__version__ = "0.1.0"

__all__ = [
    "BlockingClient",
    "BlockingHandle",
    "Client",
    "EmbeddedPod",
    "FunctionContext",
    "NoClientError",
    "Registry",
    "RetryPolicy",
    "StartStoppedError",
    "StoreUnavailableError",
    "TaskConfig",
    "TaskFailed",
    "TaskFunction",
    "TaskHandle",
    "TaskResult",
    "TaskSpec",
    "__version__",
    "connect",
    "connect_blocking",
    "pod",
    "run",
    "schedule",
    "task",
]

# Loaded on first use: a module that only registers functions need not import the engine.
_LAZY = {
    "BlockingClient": "dsched.client.blocking",
    "BlockingHandle": "dsched.client.blocking",
    "Client": "dsched.client",
    "EmbeddedPod": "dsched.embedding",
    "StartStoppedError": "dsched.embedding",
    "connect": "dsched.embedding",
    "connect_blocking": "dsched.embedding",
    "pod": "dsched.embedding",
    "run": "dsched.launcher.program",
}


def __dir__() -> list[str]:
    """Also what is loaded on first use."""
    return sorted({*globals(), *__all__})


def __getattr__(name: str) -> Any:
    """Import what the engine and the client need when they are first asked for."""
    if name not in _LAZY:
        raise AttributeError(f"module 'dsched' has no attribute {name!r}")
    value = getattr(import_module(_LAZY[name]), name)
    globals()[name] = value
    return value
