"""The params of a task as people look at them."""

from collections.abc import Mapping

from dsched.model import JsonValue, Task, TaskSpec, TemplateError
from dsched.model.params import resolved_values


def params_shown(task: Task, spec: TaskSpec) -> Mapping[str, JsonValue] | None:
    """The params that a task runs with, those included that its fire gives; None if it has none."""
    if not spec.param_values:
        return None
    zone = spec.timezone if spec.workflow is None else spec.workflow.timezone
    zone = zone if spec.member is None else spec.member.timezone
    try:
        return resolved_values(spec.param_values, task.nominal_ms, zone)
    except TemplateError:
        return dict(spec.param_values)
