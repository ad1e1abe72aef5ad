"""Configs put by batches, really or in a dry run, with what became of each."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import attrs

from dsched_cli.calling import Answer, Api, refusal
from dsched_cli.errors import CliError, ExitCode
from dsched_cli.progress import Progress
from dsched_cli.sending import answers
from dsched_cli.session import Session
from dsched_client.batches import MAX_BYTES, MAX_ITEMS

# Batches ahead of the one whose answer is awaited. More of a dry run, so that the server has
# something to judge while the next file is read; it judges two at a time.
AHEAD = 1
DRY_AHEAD = 6
AT_ONCE = 2


@attrs.frozen(kw_only=True)
class Wanted:
    """An entry to put, as JSON with its id: whose it is, and whether it may be taken over."""

    id: str
    text: bytes
    origin: str
    adopt: bool = False


@attrs.frozen(kw_only=True)
class Done:
    """The error of an entry that was refused; else what became of it, or would, with the API's
    record of what a dry run would change or warns of."""

    id: str
    outcome: str = ""
    config: Mapping[str, Any] | None = None
    error: CliError | None = None


def put_many(
    session: Session, wanted: Iterable[Wanted], *, dry_run: bool, progress: Progress
) -> Iterator[Done]:
    """Put configs by batches, those of one origin in their order; what became of each. An error
    that would meet every batch is raised.

    What is wanted may still be on its way, as from a file that is being read: what is there
    already is sent meanwhile.
    """
    send = partial(_send, session.api, dry_run)
    ahead = DRY_AHEAD if dry_run else AHEAD
    for batch, answer in answers(send, batches_of(wanted), ahead=ahead, at_once=AT_ONCE):
        try:
            told = answer().data["items"]
        except CliError as error:
            if error.code in (ExitCode.UNREACHABLE, ExitCode.NOT_ALLOWED):
                raise
            yield from (Done(id=one.id, error=error) for one in batch)
        else:
            yield from (_done(one.id, record) for one, record in zip(batch, told, strict=True))
        progress.add(len(batch))


def batches_of(wanted: Iterable[Wanted]) -> Iterator[list[Wanted]]:
    """Entries as the API takes them: of one origin, taken over or not, in as few as there can
    be."""
    groups: dict[tuple[str, bool], list[Wanted]] = {}
    sizes: dict[tuple[str, bool], int] = {}
    for one in wanted:
        whose, more = (one.origin, one.adopt), len(one.text) + 2
        if whose in groups and (len(groups[whose]) == MAX_ITEMS or sizes[whose] + more > MAX_BYTES):
            yield groups.pop(whose)
        if whose not in groups:
            groups[whose], sizes[whose] = [], 0
        groups[whose].append(one)
        sizes[whose] += more
    yield from groups.values()


def _send(api: Api, dry_run: bool, batch: Sequence[Wanted]) -> Answer:
    body = b'{"items":[' + b",".join(one.text for one in batch) + b"]}"
    query = {"origin": batch[0].origin, "adopt": batch[0].adopt or None, "brief": True}
    query["dry_run"] = dry_run or None
    # A dry run changes nothing, so that it may be asked for again.
    return api.call("POST", "/configs/batch", query=query, body=body, repeatable=dry_run)


def _done(config_id: str, told: Mapping[str, Any]) -> Done:
    problem = told.get("problem")
    if problem is None:
        return Done(id=config_id, outcome=told["outcome"], config=told.get("config"))
    return Done(id=config_id, error=refusal("PUT", f"/configs/{config_id}", problem=dict(problem)))
