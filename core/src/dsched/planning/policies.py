"""Policies that contradict one another: refused where a config is declared, not where it is
read."""

from dsched.model import InvalidConfigError, Misfire, Overlap, TaskConfig

# With these every run that `fire_all` makes up for is run.
_TAKE_ALL = (Overlap.QUEUE_ALL, Overlap.ALLOW)

_WHAT_BECOMES = {
    Overlap.SKIP: "run only the first of them",
    Overlap.QUEUE_ONE: "run only the first two of them",
    Overlap.CANCEL_PREVIOUS: "run only the last of them to its end",
}


def check_policies(config: TaskConfig) -> None:
    """Raise `InvalidConfigError` if the overlap policy would drop runs of ``misfire: fire_all``, or
    would never have two of those run that ``max_running`` lets.

    Configs that were stored before this check are read as before, and go on as they did.
    """
    recurs = config.cron_expr is not None or config.every is not None
    if config.misfire is Misfire.FIRE_ALL and recurs and config.overlap not in _TAKE_ALL:
        raise InvalidConfigError(
            "misfire",
            f"fire_all makes up for all that was missed, and overlap: {config.overlap} would "
            f"{_WHAT_BECOMES[config.overlap]}; say overlap: queue_all (one after the other) "
            "or allow (all at once), or misfire: fire_once",
        )
    if config.max_running is not None and config.overlap is not Overlap.ALLOW:
        raise InvalidConfigError(
            "max_running",
            f"lets {config.max_running} run at once and has the others wait, and overlap: "
            f"{config.overlap} decides about those itself; say overlap: allow, or leave "
            "max_running out",
        )
