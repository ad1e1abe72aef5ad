"""dsched: the lightest highly available task scheduler that can explain every fire."""

from dsched.contracts.executor import TaskFailed
from dsched.contracts.functions import FunctionContext, Registry, task

__version__ = "0.1.0"

__all__ = ["FunctionContext", "Registry", "TaskFailed", "__version__", "task"]
