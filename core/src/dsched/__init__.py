"""dsched: the lightest highly available task scheduler that can explain every fire.

What programs import: `task` to register functions, `schedule` to run them by
themselves, `workflow` to run several that need one another, `run` or `pod` to run
a pod inside a program, `connect` to submit and read. Plugin authors import from
`dsched.contracts` and `dsched.model`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dsched.client import Client
    from dsched.client.blocking import BlockingClient, BlockingHandle
    from dsched.contracts.executor import TaskFailed
    from dsched.contracts.store.outcomes import StoreUnavailableError
    from dsched.embedding import EmbeddedPod, StartStoppedError, connect, connect_blocking, pod
    from dsched.errors import NoClientError
    from dsched.functions.flows import Flow, workflow
    from dsched.functions.handles import TaskHandle
    from dsched.functions.registry import FunctionContext, Registry, task
    from dsched.functions.schedules import schedule
    from dsched.functions.submitting import TaskFunction
    from dsched.launcher.program import run
    from dsched.model import RetryPolicy, Step, TaskConfig, TaskResult, TaskSpec, Workflow

__version__ = "0.1.0"

__all__ = [
    "BlockingClient",
    "BlockingHandle",
    "Client",
    "EmbeddedPod",
    "Flow",
    "FunctionContext",
    "NoClientError",
    "Registry",
    "RetryPolicy",
    "StartStoppedError",
    "Step",
    "StoreUnavailableError",
    "TaskConfig",
    "TaskFailed",
    "TaskFunction",
    "TaskHandle",
    "TaskResult",
    "TaskSpec",
    "Workflow",
    "__version__",
    "connect",
    "connect_blocking",
    "pod",
    "run",
    "schedule",
    "task",
    "workflow",
]

# Loaded on first use: a module that only registers functions need not import the engine, and the
# command, which shares the errors of the clients, need not import anything else.
_HOMES = {
    "BlockingClient": "dsched.client.blocking",
    "BlockingHandle": "dsched.client.blocking",
    "Client": "dsched.client",
    "EmbeddedPod": "dsched.embedding",
    "Flow": "dsched.functions.flows",
    "FunctionContext": "dsched.functions.registry",
    "NoClientError": "dsched.errors",
    "Registry": "dsched.functions.registry",
    "RetryPolicy": "dsched.model",
    "StartStoppedError": "dsched.embedding",
    "Step": "dsched.model",
    "StoreUnavailableError": "dsched.contracts.store.outcomes",
    "TaskConfig": "dsched.model",
    "TaskFailed": "dsched.contracts.executor",
    "TaskFunction": "dsched.functions.submitting",
    "TaskHandle": "dsched.functions.handles",
    "TaskResult": "dsched.model",
    "TaskSpec": "dsched.model",
    "Workflow": "dsched.model",
    "connect": "dsched.embedding",
    "connect_blocking": "dsched.embedding",
    "pod": "dsched.embedding",
    "run": "dsched.launcher.program",
    "schedule": "dsched.functions.schedules",
    "task": "dsched.functions.registry",
    "workflow": "dsched.functions.flows",
}


def __dir__() -> list[str]:
    """Also what is loaded on first use."""
    return sorted({*globals(), *__all__})


def __getattr__(name: str) -> Any:
    """Import what is asked for the first time."""
    if name not in _HOMES:
        raise AttributeError(f"module 'dsched' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value
