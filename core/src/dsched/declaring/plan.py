"""Plans what must happen so that the stored configs of an origin are those it declares; pure."""

from collections.abc import Iterable, Mapping

import attrs

from dsched.model import API_ORIGIN


@attrs.frozen(kw_only=True)
class Present:
    """The part of a stored config that planning compares.

    ``content`` is what the author wrote, without the origin, in any form that compares with ``==``
    to the wanted one. ``orphaned``: paused because its origin no longer declared it.
    """

    id: str
    origin: str
    content: object
    paused: bool = False
    orphaned: bool = False


@attrs.frozen(kw_only=True)
class Conflict:
    """A wanted config that another origin declares, and that was not to be adopted."""

    id: str
    origin: str


@attrs.frozen(kw_only=True)
class DeclarationPlan:
    """Ids by what has to happen to them, each in one of the first five at most.

    ``resume`` comes after the puts, of those that were orphaned and are declared again. ``create``,
    ``change`` and ``adopt`` keep the order in which they are wanted; the others ascend.
    """

    origin: str
    create: tuple[str, ...] = ()
    change: tuple[str, ...] = ()
    adopt: tuple[str, ...] = ()
    orphan: tuple[str, ...] = ()
    delete: tuple[str, ...] = ()
    resume: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()
    conflicts: tuple[Conflict, ...] = ()

    @property
    def changes_nothing(self) -> bool:
        """Whether everything is as it should be; conflicts aside."""
        return not (
            self.create or self.change or self.adopt or self.orphan or self.delete or self.resume
        )


def plan_declaration(
    present: Iterable[Present],
    wanted: Mapping[str, object],
    *,
    origin: str,
    adopt: bool = False,
    prune: bool = False,
    orphan: bool = True,
) -> DeclarationPlan:
    """The plan that makes ``wanted`` (content by id) all that ``origin`` declares.

    ``present`` has every stored config of ``origin`` and every one with a wanted id; others are
    ignored. ``adopt``: take over what other origins declare. Without it only what is ``api``'s with
    equal content is taken over: so were declared configs stored before there were origins. What is
    no longer wanted is paused as orphaned, deleted with ``prune``, left alone without ``orphan``.
    """
    held = {one.id: one for one in present}
    found: dict[str, list[str]] = {
        name: [] for name in ("create", "change", "adopt", "unchanged", "resume")
    }
    conflicts = []
    for config_id, content in wanted.items():
        act = _act(held.get(config_id), content, origin=origin, adopt=adopt)
        if act == "conflict":
            conflicts.append(Conflict(id=config_id, origin=held[config_id].origin))
            continue
        found[act].append(config_id)
        if config_id in held and held[config_id].orphaned:
            found["resume"].append(config_id)
    gone = sorted(one.id for one in held.values() if one.origin == origin and one.id not in wanted)
    orphans = [config_id for config_id in gone if not held[config_id].paused]
    return DeclarationPlan(
        origin=origin,
        orphan=tuple(orphans) if orphan and not prune else (),
        delete=tuple(gone) if prune else (),
        conflicts=tuple(conflicts),
        **{name: tuple(ids) for name, ids in found.items()},
    )


def _act(held: Present | None, content: object, *, origin: str, adopt: bool) -> str:
    if held is None:
        return "create"
    equal = held.content == content
    if held.origin != origin:
        return "adopt" if adopt or (held.origin == API_ORIGIN and equal) else "conflict"
    return "unchanged" if equal else "change"
