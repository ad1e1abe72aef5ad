"""What becomes of each item of a batch: of tasks, and of configs."""

from collections.abc import Mapping

import attrs

from dsched.wording import printable
from dsched_api_http.models import OPTIONAL, Config
from dsched_api_http.problems import MAX_ERRORS, FieldError, Problem


@attrs.frozen(kw_only=True)
class BatchProblem:
    """Why an item of a batch was refused."""

    code: str
    detail: str


def id_given(raw: object) -> str | None:
    """The id of an item that was refused, if it had one that can be shown."""
    given = raw.get("id") if isinstance(raw, Mapping) else None
    return printable(given, 128) if isinstance(given, str) else None


@attrs.frozen(kw_only=True)
class BatchItem:
    """What became of an item of a batch: ``OK``, ``DUP``, ``CONFLICT`` or ``INVALID``."""

    id: str | None
    outcome: str
    problem: BatchProblem | None = attrs.field(default=None, metadata=OPTIONAL)


@attrs.frozen(kw_only=True)
class Batch:
    """One item an item, in order."""

    items: tuple[BatchItem, ...]


@attrs.frozen(kw_only=True)
class ConfigProblem:
    """Why a config of a batch was refused: the problem document that it alone would have got."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    errors: tuple[FieldError, ...] | None = attrs.field(default=None, metadata=OPTIONAL)
    hint: str | None = attrs.field(default=None, metadata=OPTIONAL)


def config_problem_of(problem: Problem) -> ConfigProblem:
    """A refusal as part of a batch's answer."""
    return ConfigProblem(
        type=problem.type,
        title=problem.title,
        status=problem.status,
        code=problem.code,
        detail=problem.detail,
        errors=problem.errors[:MAX_ERRORS] or None,
        hint=problem.hint or None,
    )


@attrs.frozen(kw_only=True)
class ConfigPut:
    """What became of a config of a batch: ``created``, ``changed`` or ``unchanged``, with the
    config as it is now; or ``refused``, with the problem."""

    id: str | None
    outcome: str
    config: Config | None = attrs.field(default=None, metadata=OPTIONAL)
    problem: ConfigProblem | None = attrs.field(default=None, metadata=OPTIONAL)


@attrs.frozen(kw_only=True)
class ConfigBatch:
    """One item an item, in order."""

    items: tuple[ConfigPut, ...]
