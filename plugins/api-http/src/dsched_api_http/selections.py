"""Which configs a list was asked for, and what is answered where that means none or too many."""

from dsched.model.json import dumps
from dsched.selecting import ConfigSelection, SelectionError
from dsched_api_http.list_requests import ConfigList, labels_of
from dsched_api_http.problems import Problem, invalid

EVERY = ConfigSelection()


def refused(error: SelectionError) -> Problem:
    """The answer to what selects nothing, or too much."""
    return invalid(error.field, error.reason)


def configs_meant(asked: ConfigList) -> ConfigSelection:
    """The configs that were asked for; raises `Problem`."""
    pattern = EVERY.pattern if asked.config is None else asked.config
    try:
        return ConfigSelection(pattern=pattern, labels=labels_of(asked.label), owner=asked.owner)
    except SelectionError as error:
        raise refused(error) from error


def name_of(selection: ConfigSelection) -> str:
    """What the cursors of a list of configs belong to."""
    if selection == EVERY:
        return "configs"
    return f"configs {dumps([selection.pattern, sorted_labels(selection), selection.owner])}"


def sorted_labels(selection: ConfigSelection) -> dict[str, str]:
    """The labels in an order that does not depend on how they were given."""
    return dict(sorted(selection.labels.items()))
