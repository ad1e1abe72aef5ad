"""What is counted of a config that pauses itself, and when it has counted enough."""

from typing import Any

import attrs

from dsched.model.fields import InvalidConfigError, check_whole

BY_ITSELF = "dsched"
"""Who paused a config that paused itself."""

MAX_FAILURES = 1000
MAX_RUNS = 1_000_000


@attrs.frozen(kw_only=True)
class Counted:
    """What is counted of a config since it was put or resumed.

    ``failures``: its tasks and runs that ended failed, one after another; ``last`` is the last of
    them and its code. ``runs``: fires that made a task. Each stays 0 unless the config asks for it.
    """

    failures: int = 0
    last: str = ""
    runs: int = 0

    def after_edit(self, old: Any, new: Any) -> "Counted":
        """What an edit leaves: what is counted up to another number than before begins anew.

        Both are a `TaskConfig`.
        """
        failures = old.pause_after_failures == new.pause_after_failures
        return Counted(
            failures=self.failures if failures else 0,
            last=self.last if failures else "",
            runs=self.runs if old.max_runs == new.max_runs else 0,
        )


NOTHING_COUNTED = Counted()
_DONE = "max_runs"


def paused_as_meant(why: str) -> bool:
    """Whether a config paused itself, for this reason, because it has fired as often as it was to,
    and not because its tasks failed."""
    return why.startswith(_DONE)


def pause_due(config: Any, counted: Counted) -> str | None:
    """Why a `TaskConfig` of which this was counted pauses itself now, or None."""
    most = config.pause_after_failures
    if most is not None and counted.failures >= most:
        times = "1 failure" if counted.failures == 1 else f"{counted.failures} failures in a row"
        return f"{times}: last {counted.last}"
    most = config.max_runs
    if most is not None and counted.runs >= most:
        return f"{_DONE}: it has fired {counted.runs} of {most} times"
    return None


def check_counts(config: Any) -> None:
    """Refuse numbers that nothing can be counted up to, naming the field."""
    if config.pause_after_failures is not None:
        check_whole("pause_after_failures", config.pause_after_failures, 1, MAX_FAILURES)
    if config.max_runs is None:
        return
    check_whole("max_runs", config.max_runs, 1, MAX_RUNS)
    if config.at is not None:
        raise InvalidConfigError(
            "max_runs", "does not go with at, which fires once anyway; leave it out"
        )
