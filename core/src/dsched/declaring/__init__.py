"""Declared configs: what an origin declares is compared with the store, and the store changed."""

from dsched.declaring.acting import Declared, Source, conflicts, declare, present, report
from dsched.declaring.keeping import LOOK_EVERY_S, Keeper, keep
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
    "keep",
    "plan_declaration",
    "present",
    "report",
]
