"""The store: its format, and the step to the newest."""

import attrs

from dsched.contracts.store.formats import StoreFormat
from dsched_api_http.call import Answer, Call, Route
from dsched_api_http.facts import PodInfo, pod_of
from dsched_api_http.requests import OptionalReason
from dsched_api_http.scopes import Scope


@attrs.frozen(kw_only=True)
class StoreFormatView:
    """The format of the store, the newest that the server knows, and the pods that run and do not
    know that one."""

    format: int
    newest: int
    older_pods: tuple[PodInfo, ...]


async def get_store(call: Call) -> Answer:
    """The format of the store, and the pods that keep it from a newer one."""
    return await _answer(call, await call.client.store_format())


async def migrate_store(call: Call) -> Answer:
    """Give the store the newest format."""
    found = await call.client.migrate_store()
    call.act.object = str(found.stored)
    return await _answer(call, found)


async def _answer(call: Call, found: StoreFormat) -> Answer:
    fence = await call.store.leader()
    return Answer(
        body=StoreFormatView(
            format=found.stored,
            newest=found.newest,
            older_pods=tuple(pod_of(pod, fence) for pod in found.older_pods),
        )
    )


ROUTES = (
    Route(
        method="GET",
        path="/store",
        name="store.get",
        scope=Scope.READ,
        handle=get_store,
        summary="The format of the store",
        answer=StoreFormatView,
    ),
    Route(
        method="POST",
        path="/store/migrate",
        name="store.migrate",
        scope=Scope.ADMIN,
        handle=migrate_store,
        summary="Give the store the newest format",
        body=OptionalReason,
        body_optional=True,
        answer=StoreFormatView,
        problems=("conflict",),
        audited=True,
    ),
)
