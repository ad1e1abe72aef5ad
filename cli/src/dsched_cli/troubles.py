"""What is wrong with a cluster as the server describes it, a sentence each; pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from dsched_cli.cleaning import clean
from dsched_cli.columns import is_lost

AGED_S = 30.0
SHOWN_FULL = 5


def refused_writes(cluster: Mapping[str, Any]) -> str:
    """That the store takes no writes, in its own words; "" if it does."""
    store = cluster.get("store") or {}
    if store.get("writable", True):
        return ""
    return f"the store takes no writes, so nothing fires or runs: {clean(store.get('words', ''))}"


def nobody_can_run(cluster: Mapping[str, Any]) -> list[str]:
    """That tasks wait for a worker that nobody is, a sentence for each reason."""
    found = []
    for one in cluster.get("unrunnable") or ():
        tasks, since = int(one.get("tasks") or 0), show_age(one.get("since"), cluster)
        them = "1 task waits" if tasks == 1 else f"{tasks} tasks wait"
        found.append(f"{them}{since}: {clean(one.get('reason', ''))}")
    return found


def busy_beside_room(cluster: Mapping[str, Any]) -> list[str]:
    """That tasks have waited long for workers that are full while others have room, a sentence for
    each thing that is demanded."""
    found = []
    for one in cluster.get("full") or ():
        if _age_s(one.get("since"), cluster) < AGED_S:
            continue
        tasks, age = int(one.get("tasks") or 0), show_age(one.get("since"), cluster)
        them = "1 task waits" if tasks == 1 else f"{tasks} tasks wait"
        found.append(
            f"{them}{age}: all workers with {clean(one.get('demands', ''))} are full, though "
            "others have room"
        )
    if len(found) > SHOWN_FULL:
        return [*found[:SHOWN_FULL], f"and {len(found) - SHOWN_FULL} more such demands"]
    return found


def waits_under_limits(cluster: Mapping[str, Any]) -> list[str]:
    """That tasks have waited long under limits, a sentence for each of the limits whose oldest has
    waited longest."""
    aged = [(_age_s(one.get("since"), cluster), one) for one in cluster.get("limits") or ()]
    aged.sort(key=lambda one: -one[0])
    return [_under_limit(one, cluster) for age_s, one in aged[:SHOWN_FULL] if age_s >= AGED_S]


def _under_limit(one: Mapping[str, Any], cluster: Mapping[str, Any]) -> str:
    tasks, age = int(one.get("tasks") or 0), show_age(one.get("since"), cluster)
    them = "1 task waits" if tasks == 1 else f"{tasks} tasks wait, the oldest"
    held, most = one.get("held"), one.get("max_running")
    if most is None:
        why = "its rate lets no more begin"
    elif most == 0:
        why = "it lets nothing begin (max_running is 0)"
    else:
        why = f"{held} of {most} places are held"
    return f"{_named(str(one.get('limit', '')))}: {them}{age}; {why}"


def _named(name: str) -> str:
    """A limit, or the config of which it is the `max_running`."""
    from dsched.model.limits import owner_of

    owner = owner_of(name)
    return f"limit {clean(name)}" if owner is None else f"max_running of {owner}"


def show_age(since: Any, cluster: Mapping[str, Any]) -> str:
    """How long something has lasted by the store's clock, or nothing."""
    if not since or not cluster.get("store_time"):
        return ""
    return f" for {_age_s(since, cluster):.0f} s"


def _age_s(since: Any, cluster: Mapping[str, Any]) -> float:
    now = cluster.get("store_time")
    if not since or not now:
        return 0.0
    age = datetime.fromisoformat(str(now)) - datetime.fromisoformat(str(since))
    return max(0.0, age.total_seconds())


def waits_beside_room(cluster: Mapping[str, Any], workers: Sequence[Mapping[str, Any]]) -> str:
    """That ready tasks have waited long while workers have room, whatever the cause; "" if not."""
    counts = cluster.get("counts") or {}
    oldest, now = counts.get("oldest_ready"), cluster.get("store_time")
    if not oldest or not now:
        return ""
    age = datetime.fromisoformat(str(now)) - datetime.fromisoformat(str(oldest))
    idle = [clean(one["id"]) for one in workers if _has_room(one)]
    if age.total_seconds() < AGED_S or not idle:
        return ""
    ready = (counts.get("by_home") or {}).get("ready", 0)
    shown = ", ".join(idle[:3]) + (", ..." if len(idle) > 3 else "")
    return (
        f"{ready} ready tasks wait, the oldest for {age.total_seconds():.0f} s, though "
        f"workers have room ({shown}): `dsched task list --home ready` shows them, `dsched "
        "why` of one says why"
    )


def _has_room(worker: Mapping[str, Any]) -> bool:
    if is_lost(worker) or worker.get("draining") or worker.get("queued"):
        return False
    return int(worker.get("running") or 0) < int(worker.get("capacity") or 0)
