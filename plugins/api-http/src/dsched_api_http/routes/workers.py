"""Workers: list, get, drain."""

from dsched.model import Worker
from dsched_api_http.call import Answer, Call, Route, listing
from dsched_api_http.models import WorkerView, worker_of
from dsched_api_http.problems import not_found
from dsched_api_http.requests import Page, Reason
from dsched_api_http.routes.asking import named
from dsched_api_http.scopes import Scope


async def list_workers(call: Call) -> Answer:
    """All workers by id."""
    workers = await call.client.workers()

    async def fetch(cursor: str | None, limit: int) -> tuple[list[WorkerView], str | None]:
        rest = [one for one in workers if cursor is None or one.id > cursor]
        page = rest[:limit]
        return [worker_of(one) for one in page], page[-1].id if len(rest) > limit else None

    return listing(*await call.page("workers", fetch))


async def _worker(call: Call) -> Worker:
    worker_id = named(call, "worker")
    for one in await call.client.workers():
        if one.id == worker_id:
            return one
    raise not_found("worker", worker_id)


async def get_worker(call: Call) -> Answer:
    """One worker."""
    return Answer(body=worker_of(await _worker(call)))


async def drain_worker(call: Call) -> Answer:
    """Let it take nothing more and hand back what waits."""
    worker = await _worker(call)
    await call.client.drain_worker(worker.id)
    return Answer(body=worker_of(await _worker(call)))


ROUTES = (
    Route(
        method="GET",
        path="/workers",
        name="worker.list",
        scope=Scope.READ,
        handle=list_workers,
        summary="List workers",
        query=Page,
        answer=WorkerView,
        listed=True,
    ),
    Route(
        method="GET",
        path="/workers/{id}",
        name="worker.get",
        scope=Scope.READ,
        handle=get_worker,
        summary="Get a worker",
        answer=WorkerView,
        problems=("not_found",),
    ),
    Route(
        method="POST",
        path="/workers/{id}/drain",
        name="worker.drain",
        scope=Scope.OPERATE,
        handle=drain_worker,
        summary="Drain a worker",
        body=Reason,
        answer=WorkerView,
        problems=("not_found",),
        audited=True,
    ),
)
