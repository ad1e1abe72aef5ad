"""What the API answers about acts on many tasks."""

from collections.abc import Mapping

import attrs

from dsched.bulk import BulkOperation, Estimate
from dsched.model import rfc3339_ms
from dsched_api_http.wire import TIME, optional_time


@attrs.frozen(kw_only=True)
class BulkExample:
    """A task that was skipped, or failed, and why."""

    task: str
    why: str


@attrs.frozen(kw_only=True)
class BulkView:
    """An act on many tasks: what was asked for, and how far it is. ``state`` is running, stopping,
    or how it ended: done, stopped, failed.

    ``config``, ``labels`` and ``owner`` meant so many ``configs`` when it was made; ``before`` is
    the instant before which a task has ended, or had to be due. There were ``found`` tasks, at
    least so many unless ``found_all``. ``skips`` says how many were skipped for which reason,
    ``examples`` names the first that were skipped or failed. ``left`` is how many are to come, as
    far as they were found. ``note`` says why it ended early, if it did."""

    id: str
    act: str
    state: str
    by: str
    reason: str
    config: str
    labels: Mapping[str, str]
    owner: str | None
    status: str | None
    since: str | None = attrs.field(metadata=TIME)
    before: str = attrs.field(metadata=TIME)
    rate: str
    configs: int
    found: int
    found_all: bool
    done: int
    skipped: int
    failed: int
    left: int
    skips: Mapping[str, int]
    examples: tuple[BulkExample, ...]
    made: str = attrs.field(metadata=TIME)
    begun: str | None = attrs.field(metadata=TIME)
    ended: str | None = attrs.field(metadata=TIME)
    note: str
    stopped_by: str
    stop_reason: str


@attrs.frozen(kw_only=True)
class BulkPlan:
    """What an act on many tasks meets: how many, at least so many unless ``found_all``, of how many
    ``configs``; those that have the most by their number, and the first ids. ``operation``: what
    was made, null after a dry run."""

    found: int
    found_all: bool
    configs: int
    by_config: Mapping[str, int]
    first: tuple[str, ...]
    operation: BulkView | None


def bulk_of(one: BulkOperation) -> BulkView:
    """An operation as answered."""
    return BulkView(
        id=one.id,
        act=one.act.value,
        state=one.state.value,
        by=one.by,
        reason=one.reason,
        config=one.pattern,
        labels=one.labels,
        owner=one.owner,
        status=None if one.status is None else one.status.value,
        since=optional_time(one.from_ms),
        before=rfc3339_ms(one.before_ms),
        rate=one.rate,
        configs=one.configs,
        found=one.found,
        found_all=one.found_all,
        done=one.done,
        skipped=one.skipped,
        failed=one.failed,
        left=one.left,
        skips=one.skips,
        examples=tuple(BulkExample(task=task, why=why) for task, why in one.examples),
        made=rfc3339_ms(one.made_ms),
        begun=optional_time(one.begun_ms),
        ended=optional_time(one.ended_ms),
        note=one.note,
        stopped_by=one.stopped_by,
        stop_reason=one.stop_reason,
    )


def plan_of(operation: BulkOperation, estimate: Estimate, *, dry_run: bool) -> BulkPlan:
    """What was asked for, as answered."""
    return BulkPlan(
        found=estimate.found,
        found_all=estimate.all_,
        configs=operation.configs,
        by_config=estimate.by_config,
        first=estimate.first,
        operation=None if dry_run else bulk_of(operation),
    )
