"""The words of dsched as values: immutable, validated, free of any I/O."""

from dsched.model.ability import Ability, need_in_words, need_of
from dsched.model.attempt import (
    KEPT_ATTEMPTS,
    Attempt,
    error_to_keep,
    read_attempts,
    with_attempt,
    write_attempt,
)
from dsched.model.calendars import Calendar, DatedDays, NamedDays
from dsched.model.counted import BY_ITSELF, NOTHING_COUNTED, Counted, pause_due, paused_as_meant
from dsched.model.decision import (
    Decision,
    DecisionUpdate,
    MissReason,
    SkippedRange,
    SkipReason,
    Verdict,
)
from dsched.model.demand import Demand, demand_of
from dsched.model.durations import InvalidDurationError, Span, Wait, seconds_of
from dsched.model.fields import InvalidConfigError
from dsched.model.ids import (
    InvalidIdError,
    backfill_instant_of,
    backfill_task_id,
    check_id,
    config_of,
    fire_instant_of,
    fire_task_id,
    manual_task_id,
    member_id,
    member_name,
    name_in_run,
    run_of,
    step_of_name,
)
from dsched.model.instants import from_ms, rfc3339, rfc3339_ms, to_ms, whole_ms
from dsched.model.json import JsonValue, NotJsonError
from dsched.model.limits import Limit, limit_name, limit_of
from dsched.model.member import Member
from dsched.model.member_line import MemberLine, MemberStep
from dsched.model.origin import API_ORIGIN, ORPHAN, code_origin, file_origin, is_origin
from dsched.model.params import Param, ParamType
from dsched.model.resumption import Resumption, Taken
from dsched.model.retry import Retry, RetryPolicy, retry_delay_ms
from dsched.model.run_spec import run_spec
from dsched.model.status import Home, IllegalTransitionError, TaskStatus, check_transition
from dsched.model.task import Task, TaskResult
from dsched.model.task_config import (
    Misfire,
    OnCrash,
    Overlap,
    Reserved,
    TaskConfig,
    TaskSpec,
)
from dsched.model.templates import TemplateError
from dsched.model.trigger import (
    AtTrigger,
    CronTrigger,
    DstGap,
    DstOverlap,
    EveryTrigger,
    FixedDelayTrigger,
    Trigger,
)
from dsched.model.worker import Worker, WorkerStatus, missed_a_beat
from dsched.model.workflow import WORKFLOW, Step, When, Workflow

__all__ = [
    "API_ORIGIN",
    "BY_ITSELF",
    "KEPT_ATTEMPTS",
    "NOTHING_COUNTED",
    "ORPHAN",
    "WORKFLOW",
    "Ability",
    "AtTrigger",
    "Attempt",
    "Calendar",
    "Counted",
    "CronTrigger",
    "DatedDays",
    "Decision",
    "DecisionUpdate",
    "Demand",
    "DstGap",
    "DstOverlap",
    "EveryTrigger",
    "FixedDelayTrigger",
    "Home",
    "IllegalTransitionError",
    "InvalidConfigError",
    "InvalidDurationError",
    "InvalidIdError",
    "JsonValue",
    "Limit",
    "Member",
    "MemberLine",
    "MemberStep",
    "Misfire",
    "MissReason",
    "NamedDays",
    "NotJsonError",
    "OnCrash",
    "Overlap",
    "Param",
    "ParamType",
    "Reserved",
    "Resumption",
    "Retry",
    "RetryPolicy",
    "SkipReason",
    "SkippedRange",
    "Span",
    "Step",
    "Taken",
    "Task",
    "TaskConfig",
    "TaskResult",
    "TaskSpec",
    "TaskStatus",
    "TemplateError",
    "Trigger",
    "Verdict",
    "Wait",
    "When",
    "Worker",
    "WorkerStatus",
    "Workflow",
    "backfill_instant_of",
    "backfill_task_id",
    "check_id",
    "check_transition",
    "code_origin",
    "config_of",
    "demand_of",
    "error_to_keep",
    "file_origin",
    "fire_instant_of",
    "fire_task_id",
    "from_ms",
    "is_origin",
    "limit_name",
    "limit_of",
    "manual_task_id",
    "member_id",
    "member_name",
    "missed_a_beat",
    "name_in_run",
    "need_in_words",
    "need_of",
    "pause_due",
    "paused_as_meant",
    "read_attempts",
    "retry_delay_ms",
    "rfc3339",
    "rfc3339_ms",
    "run_of",
    "run_spec",
    "seconds_of",
    "step_of_name",
    "to_ms",
    "whole_ms",
    "with_attempt",
    "write_attempt",
]
