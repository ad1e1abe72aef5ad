"""Checks imported entries as `dsched-run --check` checks a task file: only good ones are
written."""

from typing import Any

from dsched_cli.importers.result import Imported


def keep_what_is_allowed(found: Imported) -> None:
    """Leave out, with the reason, each entry that a pod would refuse."""
    from dsched.config import TaskSettings
    from dsched.loading import load_catalogue

    catalogue, defaults = load_catalogue(), TaskSettings()
    kept = []
    for entry in found.entries:
        problems = _problems(entry, defaults, catalogue)
        if problems:
            found.leave_out(str(entry["id"]), "; ".join(problems))
        else:
            kept.append(entry)
    found.entries = kept


def _problems(entry: dict[str, Any], defaults: Any, catalogue: Any) -> list[str]:
    from dsched.config import ConfigError
    from dsched.config.task_file import task_from_mapping
    from dsched.functions.registry import REGISTRY

    try:
        task_from_mapping(entry, defaults=defaults, catalogue=catalogue)
    except ConfigError as error:
        # If the imported module registers functions, those still to be written are not among them.
        early = entry["executor"] == "local" and len(REGISTRY) > 0
        return [
            f"{one.path}: {one.reason}"
            for one in error.problems
            if not (early and one.path.startswith("payload"))
        ]
    return []
