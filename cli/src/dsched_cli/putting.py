"""Configs put by batches, really or in a dry run, with what became of each."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import attrs

from dsched_cli.calling import refusal
from dsched_cli.errors import CliError, ExitCode
from dsched_cli.progress import Progress
from dsched_cli.session import Session
from dsched_client.batches import config_batches


@attrs.frozen(kw_only=True)
class Wanted:
    """An entry to put: whose it is, and whether it may be taken over."""

    id: str
    content: Mapping[str, Any]
    origin: str
    adopt: bool = False


@attrs.frozen(kw_only=True)
class Done:
    """The API's record of a config that was put, or the error of one that was refused."""

    id: str
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
        query = {"origin": origin, "adopt": adopt or None, "dry_run": dry_run or None}
        for batch in config_batches({"id": one.id, **one.content} for one in group):
            ids = [str(item["id"]) for item in batch.items]
            body = {"items": list(batch.items)}
            try:
                answer = session.api.call("POST", "/configs/batch", query=query, body=body)
            except CliError as error:
                if error.code in (ExitCode.UNREACHABLE, ExitCode.NOT_ALLOWED):
                    raise
                yield from (Done(id=one, error=error) for one in ids)
            else:
                told = answer.data["items"]
                yield from (_done(one, record) for one, record in zip(ids, told, strict=True))
            progress.add(len(ids))


def _done(config_id: str, told: Mapping[str, Any]) -> Done:
    problem = told.get("problem")
    if problem is None:
        return Done(id=config_id, config=told["config"])
    return Done(id=config_id, error=refusal("PUT", f"/configs/{config_id}", problem=dict(problem)))
