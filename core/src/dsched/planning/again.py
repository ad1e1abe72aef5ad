"""The snapshot of a task that runs all of an ended one once more."""

import attrs

from dsched.model import TaskSpec
from dsched.model.params import same_again


def again(spec: TaskSpec, instant_ms: int) -> TaskSpec:
    """The snapshot of a task of this instant, for one that runs all of it once more: with its
    params."""
    if spec.resumes is not None:
        spec = attrs.evolve(spec, resumes=None)
    if not spec.param_values:
        return spec
    zone = spec.timezone if spec.workflow is None else spec.workflow.timezone
    return attrs.evolve(spec, param_values=same_again(spec.param_values, instant_ms, zone))
