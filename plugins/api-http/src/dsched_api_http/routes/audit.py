"""The audit, newest first."""

from dsched_api_http.call import Answer, Call, Route, listing
from dsched_api_http.models import AuditEntry
from dsched_api_http.requests import Page
from dsched_api_http.scopes import Scope


async def list_audit(call: Call) -> Answer:
    """Who did what to what, and why."""
    return listing(*await call.page("audit", call.api.audit.page))


ROUTES = (
    Route(
        method="GET",
        path="/audit",
        name="audit.list",
        shared=True,
        scope=Scope.OPERATE,
        handle=list_audit,
        summary="Who did what",
        query=Page,
        answer=AuditEntry,
        listed=True,
    ),
)
