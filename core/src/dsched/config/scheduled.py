"""What `@dsched.schedule` declares, grouped by app, and checked as a task file is."""

import sys
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

from dsched.config.problems import ConfigError, Problem
from dsched.config.settings import Settings
from dsched.config.task_file import task_from_mapping
from dsched.declaring import Source
from dsched.functions.schedules import Scheduled, Schedules
from dsched.functions.submitting import LOCAL
from dsched.loading import Catalogue
from dsched.model import TaskConfig, code_origin


def code_sources(
    schedules: Schedules, *, apps: Sequence[str], settings: Settings, catalogue: Catalogue
) -> list[Source]:
    """The configs that the code of this process declares, by their origin.

    Each origin also has what it orphans: an app of ``apps``, or of the setting ``pod.app``, that
    declares nothing (any more) is an empty source. Raises `ConfigError` with every problem.
    """
    names = [settings.pod.app] if settings.pod.app else list(apps)
    found: dict[str, list[TaskConfig]] = {code_origin(name): [] for name in names}
    problems: list[Problem] = []
    places: dict[str, str] = {}
    for scheduled in schedules:
        try:
            config = _config(scheduled, schedules, settings, catalogue)
        except ConfigError as error:
            problems += error.problems
            continue
        if config.id in places:
            reason = f"is the id of the schedule of {places[config.id]} too; give one another id="
            problems.append(Problem(scheduled.place, "id", reason))
        places[config.id] = scheduled.place
        origin = code_origin(app_of(scheduled.call.__module__, names))
        found.setdefault(origin, []).append(config.of_origin(origin))
    if problems:
        raise ConfigError(problems)
    return [
        Source(origin=origin, configs=tuple(configs), orphans=True)
        for origin, configs in found.items()
    ]


def app_of(module: str, names: Sequence[str]) -> str:
    """The app that a module's schedules belong to: the one named like the module or like the
    nearest package above it; else the first app; without apps, the module's own top package.
    """
    above = [name for name in names if module == name or module.startswith(f"{name}.")]
    if above or names:
        return max(above, key=len) if above else names[0]
    if module == "__main__":
        file = getattr(sys.modules.get("__main__"), "__file__", None)
        return PurePath(file).stem if file else "main"
    return module.partition(".")[0]


def _config(
    scheduled: Scheduled, schedules: Schedules, settings: Settings, catalogue: Catalogue
) -> TaskConfig:
    if scheduled.entry is not None:
        return task_from_mapping(
            scheduled.entry, defaults=settings.task, catalogue=catalogue, source=scheduled.place
        )
    function = schedules.named(scheduled)
    if function is None:
        reason = "is scheduled but not registered; put @dsched.task on it too"
        raise ConfigError([Problem(scheduled.place, "", reason)])
    payload: dict[str, Any] = {"function": function.name}
    if scheduled.args is not None:
        payload["args"] = scheduled.args
    return task_from_mapping(
        {
            **function.defaults,
            **scheduled.fields,
            "id": scheduled.config_id or function.name,
            "executor": LOCAL,
            "payload": payload,
        },
        defaults=settings.task,
        catalogue=catalogue,
        source=scheduled.place,
    )
