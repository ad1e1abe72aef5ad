"""Declared configs: what an origin declares is compared with the store, and the store changed."""

from dsched.declaring.acting import Declared, Source, conflicts, declare, present, report
from dsched.declaring.keeping import LOOK_EVERY_S, Keeper, keep
from dsched.declaring.limits import declare_limits, limit_conflicts, report_limits
from dsched.declaring.plan import Conflict, DeclarationPlan, Present, plan_declaration

__all__ = [
    "LOOK_EVERY_S",
    "Conflict",
    "DeclarationPlan",
    "Declared",
    "Keeper",
    "Present",
    "Source",
    "conflicts",
    "declare",
    "declare_limits",
    "keep",
    "limit_conflicts",
    "plan_declaration",
    "present",
    "report",
    "report_limits",
]
