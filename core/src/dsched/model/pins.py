"""A pin: the one worker that may run a task, written as a label that no other worker has.

So all that holds of a required label holds of a pin: whatever puts a task back to ready, it waits
for that worker; and what knows of no pins finds nobody that has the label, and does not run it.
"""

from collections.abc import Mapping

from dsched.model.fields import InvalidConfigError, check_labels

# Each worker has this label with its own id, whatever its settings say.
WORKER_LABEL = "dsched.worker"


def pinned_to(worker_id: str, required: Mapping[str, str]) -> dict[str, str]:
    """What a task demands that is for this worker alone."""
    return {**required, WORKER_LABEL: worker_id}


def pin_of(required: Mapping[str, str]) -> str | None:
    """The worker that what demands these labels is for; None where it is for any."""
    return required.get(WORKER_LABEL)


def demanded_in_words(required: Mapping[str, str]) -> str:
    """``gpu=1, zone=eu``; of a pin ``worker pod-1``."""
    return ", ".join(
        f"worker {value}" if key == WORKER_LABEL else f"{key}={value}"
        for key, value in sorted(required.items())
    )


def check_required(required: Mapping[str, str], *, may_be_pinned: bool = False) -> None:
    """Refuse labels that cannot be demanded; a pin is given by dsched, and does not count."""
    if WORKER_LABEL in required:
        if not may_be_pinned:
            raise InvalidConfigError(
                f"required_labels.{WORKER_LABEL}",
                "is a label that dsched gives itself, with the id of each worker; say shards: "
                "each_worker to run something on all of them, or give workers a label of your own",
            )
        required = {key: value for key, value in required.items() if key != WORKER_LABEL}
    check_labels("required_labels", required)
