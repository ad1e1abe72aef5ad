"""The payload of the local executor: ``{function: NAME, args: ANY JSON}``."""

from collections.abc import Mapping

import attrs

from dsched.contracts.executor import TaskFailed
from dsched.contracts.functions import Function, Registry
from dsched.contracts.wording import unknown_keys
from dsched.model import JsonValue

KEYS = ("function", "args")
_KEYS = frozenset(KEYS)


@attrs.frozen
class Call:
    """A payload taken apart."""

    function: str
    args: JsonValue = None


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
    call = Call(payload["function"], payload.get("args"))
    function = registry.get(call.function)
    if function is None:
        return [f"'function': {registry.unknown(call.function)}"]
    signature = f"{function.name}{function.signature}"
    return [f"'args' do not fit {signature}: {text}" for text in function.problems(call.args)]


def read_call(payload: JsonValue, registry: Registry) -> tuple[Function, Call]:
    """The function a payload asks for; else `TaskFailed`.

    A name is only looked up: never imported, never evaluated.
    """
    name = payload.get("function") if isinstance(payload, dict) else None
    # Looked at for each attempt, and put into words only where something is wrong.
    if not (name and isinstance(name, str) and _KEYS.issuperset(payload)):
        problems = shape_problems(payload)
        if problems:
            raise TaskFailed("; ".join(problems), code="payload", retryable=False)
    call = Call(payload["function"], payload.get("args"))
    function = registry.get(call.function)
    if function is None:
        # Another worker may have it: one started with other modules, or of a newer deployment.
        raise TaskFailed(
            f"{registry.unknown(call.function)}; start this worker with the --app module that "
            "registers it, or route the task with required_labels",
            code="unknown_function",
        )
    return function, call
