"""What a run does next: a pure function of its workflow and its member log."""

from dsched.planning.runs.deciding import (
    Moment,
    NextMove,
    RunEnd,
    SkippedStep,
    StepWorkers,
    decide,
)
from dsched.planning.runs.members import member_spec, reader_of
from dsched.planning.runs.progress import RunProgress, StepProgress, StepState, steps_of
from dsched.planning.runs.resuming import resumption

__all__ = [
    "Moment",
    "NextMove",
    "RunEnd",
    "RunProgress",
    "SkippedStep",
    "StepProgress",
    "StepState",
    "StepWorkers",
    "decide",
    "member_spec",
    "reader_of",
    "resumption",
    "steps_of",
]
