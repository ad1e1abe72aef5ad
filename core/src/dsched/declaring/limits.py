"""Limits that an origin declares: put before the tasks that name them."""

import logging
from collections.abc import Mapping, Sequence

import attrs

from dsched.client import Client, ConflictError, RefusedError
from dsched.declaring.plan import Conflict, DeclarationPlan, Present, plan_declaration
from dsched.model import API_ORIGIN, Limit

log = logging.getLogger("dsched.limits")


@attrs.frozen(kw_only=True)
class DeclaredLimits:
    """What was planned. ``conflicts``: those of the plan, and what another origin took since.
    ``refused``: why the store did not take one, by id."""

    plan: DeclarationPlan
    conflicts: tuple[Conflict, ...]
    refused: Mapping[str, str] = attrs.field(factory=dict)


async def declare_limits(
    client: Client, wanted: Sequence[Limit], *, origin: str, adopt: bool = False
) -> DeclaredLimits:
    """Put what ``origin`` declares. What it declares no longer stays, as tasks may be bound by it.

    Any number of pods may do so at once and repeat it. Raises what `Client.put_limit` raises,
    but for conflicts of origin and what the store refuses.
    """
    plan = await _plan_of(client, wanted, origin=origin, adopt=adopt)
    limits = {one.id: one for one in wanted}
    lost, refused = [], {}
    for limit_id in (*plan.create, *plan.change, *plan.adopt):
        try:
            await client.put_limit(
                limits[limit_id], origin=origin, adopt=limit_id in plan.adopt and adopt
            )
        except ConflictError as error:
            if error.code != "origin_conflict":
                raise
            owner = (await client.limit_origin(limit_id)).origin
            lost.append(Conflict(id=limit_id, origin=owner))
        except RefusedError as error:
            refused[limit_id] = str(error)
    return DeclaredLimits(plan=plan, conflicts=(*plan.conflicts, *lost), refused=refused)


async def limit_conflicts(
    client: Client, wanted: Sequence[Limit], *, origin: str
) -> tuple[Conflict, ...]:
    """The limits that another origin declares already; changes nothing."""
    return (await _plan_of(client, wanted, origin=origin, adopt=False)).conflicts


def report_limits(declared: DeclaredLimits) -> None:
    """Log what became of each limit."""
    plan = declared.plan
    for conflict in declared.conflicts:
        log.error(
            "limit %s is not put: it is declared by %s, not by %s; remove it from one of them, or "
            "take it over with --adopt",
            conflict.id,
            conflict.origin,
            plan.origin,
        )
    for limit_id, why in declared.refused.items():
        log.error("limit %s of %s is not put: %s", limit_id, plan.origin, why)
    not_put = {*declared.refused, *(one.id for one in declared.conflicts)}
    for limit_id in (*plan.create, *plan.change, *plan.adopt):
        if limit_id not in not_put:
            word = "new" if limit_id in plan.create else "changed"
            log.info("limit %s is %s, as %s declares it", limit_id, word, plan.origin)


async def _plan_of(
    client: Client, wanted: Sequence[Limit], *, origin: str, adopt: bool
) -> DeclarationPlan:
    if not wanted:
        return DeclarationPlan(origin=origin)
    stored = await client.get_limits([one.id for one in wanted])
    origins = await client.limit_origins()
    present = [
        Present(id=one.id, origin=origins.get(one.id, API_ORIGIN), content=one)
        for one in stored
        if one is not None
    ]
    contents = {one.id: one for one in wanted}
    return plan_declaration(present, contents, origin=origin, adopt=adopt, orphan=False)
