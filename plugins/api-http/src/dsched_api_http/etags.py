"""If-Match and If-None-Match on configs: an ETag is the config's revision."""

import re

import attrs
from aiohttp import web

from dsched.client import PreconditionError
from dsched.contracts.store.configs import StoredConfig
from dsched_api_http.problems import invalid

_ETAG = re.compile(r'(?:W/)?"([0-9]{1,18})"')
_ANY_TAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e]*"')


def etag(revision: int) -> str:
    """The ETag of a revision."""
    return f'"{revision}"'


@attrs.frozen(kw_only=True)
class Expected:
    """What the caller says must be stored. ``revisions`` None: anything, or nothing at all."""

    given: bool = False
    revisions: frozenset[int] | None = None
    exists: bool | None = None

    def check(self, config_id: str, stored: StoredConfig | None) -> None:
        """Raise `PreconditionError` unless it is so."""
        found = 0 if stored is None else stored.config.revision
        if self.exists is not None and self.exists is not bool(found):
            there = "exists" if found else "does not exist"
            raise PreconditionError("precondition_failed", f"config {config_id} {there}")
        if self.revisions is not None and found not in self.revisions:
            raise PreconditionError(
                "precondition_failed",
                f"config {config_id} is at revision {found}; read it again",
            )


def _joined(request: web.Request, name: str) -> str | None:
    """A header that may come in several lines, which are one list (RFC 9110, 5.3)."""
    lines = request.headers.getall(name, None)
    return None if lines is None else ", ".join(lines)


def expected_revision(request: web.Request) -> Expected:
    """What the headers of a change say; raises `Problem` for what is no ETag."""
    match, none_match = _joined(request, "If-Match"), _joined(request, "If-None-Match")
    if none_match is not None and none_match.strip() != "*":
        raise invalid("If-None-Match", "only * is understood: the config must not exist")
    if none_match is not None and match is not None:
        raise invalid("If-Match", "does not go together with If-None-Match")
    if none_match is not None:
        return Expected(given=True, exists=False)
    if match is None:
        return Expected()
    if match.strip() == "*":
        return Expected(given=True, exists=True)
    tags = [part.strip() for part in match.split(",")]
    if not all(_ANY_TAG.fullmatch(tag) for tag in tags):
        raise invalid("If-Match", 'must be the ETag of an answer, such as "1767148200000"')
    found = (_ETAG.fullmatch(tag) for tag in tags)
    return Expected(given=True, revisions=frozenset(int(one[1]) for one in found if one))
