"""What configs and snapshots say of params and templates: what goes together, and what does not."""

from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from dsched.model.fields import InvalidConfigError
from dsched.model.params import check_size, check_values
from dsched.model.references import Names, check_payload

if TYPE_CHECKING:
    from dsched.model.task_config import TaskConfig, TaskSpec


def check_template(item: Any, params: Any) -> None:
    """Refuse a template that cannot be rendered, as far as that is known; ``params`` by name."""
    if not isinstance(item.template, bool):
        raise InvalidConfigError("template", f"must be true or false, got {item.template!r}")
    if not item.template:
        return
    if item.workflow is not None:
        raise InvalidConfigError(
            "template", "is for what runs one task; what has steps or shards needs no such word"
        )
    names = Names(params=params, labels=item.labels, run=False)
    check_payload(item.payload, "payload", names)


def check_declared(config: "TaskConfig") -> None:
    """Refuse params that nothing could refer to, or that no fire of its own could have."""
    if config.params and config.workflow is not None:
        raise InvalidConfigError("params", "belong to the workflow: Workflow(params=...)")
    if config.params and not config.template:
        raise InvalidConfigError(
            "params",
            "are for the references of a payload and of limits; say template: true, or remove them",
        )
    for name, param in config.declared_params.items():
        if param.default is None and config.enabled:
            raise InvalidConfigError(
                f"params.{name}",
                "has no default, so that a fire of its schedule could not run: give it one, or "
                "say enabled: false, so that only triggers run it",
            )


def check_given(spec: "TaskSpec") -> None:
    """Refuse values that are not those of the params, or a zone that is none."""
    check_size(spec.param_values)
    if spec.workflow is not None:
        check_values(spec.workflow.params, spec.param_values)
    elif spec.member is None and spec.param_values and not spec.template:
        raise InvalidConfigError(
            "param_values", "are for the references of a payload; say template: true"
        )
    if spec.timezone != "UTC":
        try:
            ZoneInfo(spec.timezone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            reason = f"{str(spec.timezone)[:60]!r} is no zone; write one such as Europe/Berlin"
            raise InvalidConfigError("timezone", reason) from None
