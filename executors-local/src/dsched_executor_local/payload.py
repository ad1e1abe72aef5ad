"""The payload of the local executor: ``{function: NAME, args: ANY JSON}``."""

from collections.abc import Mapping

from dsched.contracts.executor import TaskFailed
from dsched.functions.registry import Function, Registry
from dsched.model import JsonValue
from dsched.wording import unknown_keys

KEYS = ("function", "args")
_KEYS = frozenset(KEYS)


def shape_problems(payload: JsonValue) -> list[str]:
    """What is wrong with the payload's form, whatever is registered."""
    if not isinstance(payload, Mapping):
        return [f"the payload must be a mapping with 'function', not {type(payload).__name__}"]
    problems = unknown_keys(payload, KEYS)
    name = payload.get("function")
    if not isinstance(name, str) or not name:
        problems.append("'function' is required: the name given to @dsched.task")
    return problems


def payload_problems(payload: JsonValue, registry: Registry) -> list[str]:
    """What is wrong with the payload; functions are judged only where any is registered.

    A pod without the application's modules cannot know its functions, and says nothing of them.
    """
    problems = shape_problems(payload)
    if problems or not len(registry):
        return problems
    function = registry.get(payload["function"])
    if function is None:
        return [f"'function': {registry.unknown(payload['function'])}"]
    problems = function.problems(payload.get("args"))
    signature = f"{function.name}{function.signature}" if problems else ""
    return [f"'args' do not fit {signature}: {text}" for text in problems]


def read_call(payload: JsonValue, registry: Registry) -> tuple[Function, JsonValue]:
    """The function a payload asks for, and its arguments; else `TaskFailed`.

    A name is only looked up: never imported, never evaluated.
    """
    name = payload.get("function") if isinstance(payload, dict) else None
    # Checked for each attempt, and put into words only if something is wrong.
    if not (name and isinstance(name, str) and _KEYS.issuperset(payload)):
        problems = shape_problems(payload)
        if problems:
            raise TaskFailed("; ".join(problems), code="payload", retryable=False)
    function = registry.get(payload["function"])
    if function is None:
        # Another worker may have it: one started with other modules, or of a newer deployment.
        raise TaskFailed(
            f"{registry.unknown(payload['function'])}; start this worker with the --app "
            "module that registers it, or route the task with required_labels",
            code="unknown_function",
        )
    return function, payload.get("args")
