"""Declared configs: what their origin wants is compared with what is stored, then made so."""

from dsched.declaring.acting import Declared, Source, conflicts, declare, present, report
from dsched.declaring.plan import Conflict, DeclarationPlan, Present, plan_declaration

__all__ = [
    "Conflict",
    "DeclarationPlan",
    "Declared",
    "Present",
    "Source",
    "conflicts",
    "declare",
    "plan_declaration",
    "present",
    "report",
]
