"""What a token of a narrow scope is not shown of an entry."""

from typing import Any


def without_payloads(entry: dict[str, Any]) -> bool:
    """Take the payload out of an entry, and that of each of its steps, lists that are written
    out, and the values of its params; whether there was any."""
    found = [entry.pop("payload", None), entry.pop("param_values", None)]
    for name, key in (("steps", "payload"), ("params", "default")):
        parts = entry.get(name)
        if isinstance(parts, dict):
            found += [part.pop(key, None) for part in parts.values()]
    for step in (entry.get("steps") or {}).values():
        if isinstance(step.get("for_each"), list):  # a reference tells nothing
            found.append(step.pop("for_each"))
    return any(one is not None for one in found)
