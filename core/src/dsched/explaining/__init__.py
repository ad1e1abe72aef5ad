"""Why something happened, or did not: from what the store remembers to sentences. Pure."""

from dsched.explaining.breaks import told_of_unknown
from dsched.explaining.configs import ConfigFacts, explain_config
from dsched.explaining.explanation import Answer, Explanation
from dsched.explaining.tasks import TaskFacts, explain_task

__all__ = [
    "Answer",
    "ConfigFacts",
    "Explanation",
    "TaskFacts",
    "explain_config",
    "explain_task",
    "told_of_unknown",
]
