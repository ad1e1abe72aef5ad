"""Configs put by batches, really or in a dry run, with what became of each."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import Any

import attrs

from dsched_cli.calling import Answer, Api, refusal
from dsched_cli.errors import CliError, ExitCode
from dsched_cli.progress import Progress
from dsched_cli.sending import answers
from dsched_cli.session import Session
from dsched_client.batches import text_batches

AHEAD = 1  # batches on the way while the answer to one is awaited


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
    """Put configs by batches, in their order but origin by origin; what became of each. An error
    that would meet every batch is raised."""
    groups: dict[tuple[str, bool], list[Wanted]] = {}
    for one in wanted:
        groups.setdefault((one.origin, one.adopt), []).append(one)
    for (origin, adopt), group in groups.items():
        query = {"origin": origin, "adopt": adopt or None, "dry_run": dry_run or None}
        query["brief"] = True
        ids = iter(one.id for one in group)
        batches = text_batches(one.text for one in group)
        send = partial(_send, session.api, query)
        for batch, answer in answers(send, batches, ahead=AHEAD):
            asked = list(islice(ids, len(batch)))
            try:
                told = answer().data["items"]
            except CliError as error:
                if error.code in (ExitCode.UNREACHABLE, ExitCode.NOT_ALLOWED):
                    raise
                yield from (Done(id=one, error=error) for one in asked)
            else:
                yield from (_done(one, record) for one, record in zip(asked, told, strict=True))
            progress.add(len(asked))


def _send(api: Api, query: Mapping[str, Any], batch: Sequence[bytes]) -> Answer:
    body = b'{"items":[' + b",".join(batch) + b"]}"
    # A dry run changes nothing, so that it may be asked for again.
    again = bool(query["dry_run"])
    return api.call("POST", "/configs/batch", query=query, body=body, repeatable=again)


def _done(config_id: str, told: Mapping[str, Any]) -> Done:
    problem = told.get("problem")
    if problem is None:
        return Done(id=config_id, outcome=told["outcome"], config=told.get("config"))
    return Done(id=config_id, error=refusal("PUT", f"/configs/{config_id}", problem=dict(problem)))
