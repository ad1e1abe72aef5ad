"""How the tasks of each config ended, one after another, for configs that count failures."""

from collections.abc import Mapping

import attrs

from dsched.contracts.store.collecting import Streak
from dsched.contracts.store.events import Event
from dsched.model import JsonValue, TaskStatus, config_of, run_of

MAX_WORDS = 100  # of a code


class Streaks:
    """The streak of each config in a part of the log, taken in the order of the log.

    A run of many tasks counts once, by how it ended; its members do not. A cancelled task counts
    neither way.
    """

    def __init__(self) -> None:
        self._by_config: dict[str, Streak] = {}

    def ended(self, task_id: str, status: TaskStatus, item: Mapping[str, JsonValue]) -> None:
        """Take the end of a task; ``item`` is what the log says of it."""
        if "@" not in task_id or status is TaskStatus.CANCELLED or run_of(task_id) is not None:
            return
        config_id = config_of(task_id)
        if config_id is None:
            return
        if status is TaskStatus.SUCCESS:
            self._anew(config_id)
            return
        code = str(item.get("code") or item.get("reason") or "failed")[:MAX_WORDS]
        before = self._by_config.get(config_id) or Streak(config_id=config_id, anew=False)
        self._by_config[config_id] = attrs.evolve(
            before, failures=before.failures + 1, last=f"{task_id}: {code}"
        )

    def changed(self, event: Event) -> None:
        """Take what was done to configs: the end of a pause, or of the config, ends its streak."""
        for item in event.items:
            if item["act"] in ("resumed", "deleted"):
                self._anew(item["config"])

    def all(self) -> tuple[Streak, ...]:
        """What was taken."""
        return tuple(self._by_config.values())

    def _anew(self, config_id: str) -> None:
        self._by_config[config_id] = Streak(config_id=config_id, anew=True)
