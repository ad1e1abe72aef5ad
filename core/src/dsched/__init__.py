"""dsched: the lightest highly available task scheduler that can explain every fire.

What programs import: `task` to register functions, `schedule` to run them by
themselves, `pod` to run one inside a program, `connect`
to submit and read. Plugin authors import from `dsched.contracts` and `dsched.model`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from dsched.contracts.executor import TaskFailed
from dsched.functions.registry import FunctionContext, Registry, task
from dsched.functions.schedules import schedule
from dsched.model import RetryPolicy, TaskConfig, TaskResult, TaskSpec

if TYPE_CHECKING:
    from dsched.client import Client
    from dsched.embedding import connect, pod

__version__ = "0.1.0"

__all__ = [
    "Client",
    "FunctionContext",
    "Registry",
    "RetryPolicy",
    "TaskConfig",
    "TaskFailed",
    "TaskResult",
    "TaskSpec",
    "__version__",
    "connect",
    "pod",
    "schedule",
    "task",
]

# Loaded on first use: a module that only registers functions need not import the engine.
_LAZY = {
    "Client": "dsched.client",
    "connect": "dsched.embedding",
    "pod": "dsched.embedding",
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
