"""Configs put by batches, really or in a dry run, with what became of each."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

import attrs

from dsched_cli.calling import refusal
from dsched_cli.errors import CliError, ExitCode
from dsched_cli.progress import Progress
from dsched_cli.session import Session
from dsched_client.batches import text_batches


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
    """Put entries of distinct ids. If it raises, the entries not answered yet are not put."""
    groups: dict[tuple[str, bool], list[Wanted]] = {}
    for one in wanted:
        groups.setdefault((one.origin, one.adopt), []).append(one)
    for (origin, adopt), group in groups.items():
        # Putting equal content twice changes nothing, so that a request may be repeated.
        query = {"origin": origin, "adopt": adopt or None, "dry_run": dry_run or None}
        query["brief"] = True
        ids = iter(one.id for one in group)
        for batch in text_batches(one.text for one in group):
            asked = list(islice(ids, len(batch)))
            body = b'{"items":[' + b",".join(batch) + b"]}"
            try:
                answer = session.api.call(
                    "POST",
                    "/configs/batch",
                    query=query,
                    body=body,
                    repeatable=True,
                )
            except CliError as error:
                if error.code in (ExitCode.UNREACHABLE, ExitCode.NOT_ALLOWED):
                    raise
                yield from (Done(id=one, error=error) for one in asked)
            else:
                told = answer.data["items"]
                yield from (_done(one, record) for one, record in zip(asked, told, strict=True))
            progress.add(len(asked))


def _done(config_id: str, told: Mapping[str, Any]) -> Done:
    problem = told.get("problem")
    if problem is None:
        return Done(id=config_id, outcome=told["outcome"], config=told.get("config"))
    return Done(id=config_id, error=refusal("PUT", f"/configs/{config_id}", problem=dict(problem)))
