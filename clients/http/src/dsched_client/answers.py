"""Answers of the API: their JSON, or the exception of a refusal. Pure, and cheap to import."""

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import attrs

from dsched_client.errors import ApiError, FieldFlaw, Problem, ProtocolError, refusal

MAX_SHOWN = 200


@attrs.frozen(kw_only=True)
class Answer:
    """What came back. ``headers`` have lower-case names."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def body_of(answer: Answer) -> Any:
    """The JSON of an answer that is no refusal; `ApiError` or `ProtocolError` otherwise."""
    if answer.status >= 400:
        raise refused(answer)
    if not 200 <= answer.status < 300:
        raise ProtocolError(
            f"the server answered {answer.status}, which these clients do not follow"
            + (
                f" (to {answer.headers['location'][:MAX_SHOWN]})"
                if "location" in answer.headers
                else ""
            )
            + "; is the address that of the API?"
        )
    if not answer.body:
        return None
    try:
        return json.loads(answer.body)
    except ValueError as error:
        raise ProtocolError(
            f"the answer is no JSON but {answer.body[:MAX_SHOWN]!r}; is the address that of the "
            "API?"
        ) from error


def refused(answer: Answer) -> ApiError:
    """The exception of a refusal, also of one that some proxy made up."""
    found: Any = None
    with suppress(ValueError):  # a proxy's page: the status alone must do
        found = json.loads(answer.body)
    if not isinstance(found, dict):
        found = {}
    flaws = found.get("errors")
    return refusal(
        Problem(
            status=answer.status,
            code=str(found.get("code") or f"http_{answer.status}"),
            title=str(found.get("title") or "refused without a reason"),
            detail=str(found.get("detail") or ""),
            errors=tuple(
                FieldFlaw(str(flaw.get("field", "")), str(flaw.get("reason", "")))
                for flaw in (flaws if isinstance(flaws, list) else ())
                if isinstance(flaw, dict)
            ),
            hint=str(found.get("hint") or ""),
            retry_after_s=retry_after_s(answer),
        )
    )


def retry_after_s(answer: Answer) -> float | None:
    """The seconds of a ``Retry-After``; dates are not read."""
    text = answer.headers.get("retry-after", "").strip()
    return float(text) if text.isdecimal() and len(text) < 10 else None
