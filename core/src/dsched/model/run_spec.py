"""The snapshot of a workflow that is submitted as it is."""

from collections.abc import Mapping

from dsched.model.fields import InvalidConfigError
from dsched.model.json import JsonValue
from dsched.model.params import bound
from dsched.model.task_config import TaskSpec
from dsched.model.workflow import WORKFLOW, Workflow


def run_spec(flow: Workflow, params: Mapping[str, JsonValue] | None = None) -> TaskSpec:
    """What a run of this workflow is, with nothing said of labels, priority, retries and so on;
    `InvalidConfigError` for shards alone, which do not say what they run, and for ``params`` that
    are not those declared."""
    if not flow.steps:
        raise InvalidConfigError(
            "steps",
            "is missing: shards alone do not say what they run; submit a TaskSpec with executor, "
            "payload and workflow=Workflow(shards=...)",
        )
    values = bound(flow.params, params or {})
    return TaskSpec(executor=WORKFLOW, workflow=flow, param_values=values)
