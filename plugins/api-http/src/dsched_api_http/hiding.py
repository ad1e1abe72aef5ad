"""What a token of a narrow scope is not shown of an entry."""

from typing import Any


def without_payloads(entry: dict[str, Any]) -> bool:
    """Take the payload out of an entry, and that of each of its steps; whether there was any."""
    found = [entry.pop("payload", None)]
    steps = entry.get("steps")
    if isinstance(steps, dict):
        found += [step.pop("payload", None) for step in steps.values()]
    return any(one is not None for one in found)
