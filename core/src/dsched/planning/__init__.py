"""Which fires a due config owes: triggers, time zones, misfire, jitter. Pure functions only."""

from dsched.planning.calendars import (
    calendar_warnings,
    check_calendar,
    left_out,
    left_out_between,
    off_days_range,
)
from dsched.planning.days import LeftOut
from dsched.planning.errors import InvalidTriggerError
from dsched.planning.instants import Instants
from dsched.planning.jitter import jitter_ms
from dsched.planning.misfire import FirePlan, PlannedRun, plan_fire
from dsched.planning.policies import check_policies
from dsched.planning.rearm import Edit, next_due, plan_edit, plan_rearm
from dsched.planning.remembered import Remembered, disabled_range, remembered, trigger_text
from dsched.planning.triggers import compile_trigger, config_instants
from dsched.planning.upcoming import (
    Upcoming,
    UpcomingInstant,
    clock_note,
    config_upcoming,
    upcoming,
)
from dsched.planning.warnings import config_warnings
from dsched.planning.zone_rules import zone_rules_version

__all__ = [
    "Edit",
    "FirePlan",
    "Instants",
    "InvalidTriggerError",
    "LeftOut",
    "PlannedRun",
    "Remembered",
    "Upcoming",
    "UpcomingInstant",
    "calendar_warnings",
    "check_calendar",
    "check_policies",
    "clock_note",
    "compile_trigger",
    "config_instants",
    "config_upcoming",
    "config_warnings",
    "disabled_range",
    "jitter_ms",
    "left_out",
    "left_out_between",
    "next_due",
    "off_days_range",
    "plan_edit",
    "plan_fire",
    "plan_rearm",
    "remembered",
    "trigger_text",
    "upcoming",
    "zone_rules_version",
]
