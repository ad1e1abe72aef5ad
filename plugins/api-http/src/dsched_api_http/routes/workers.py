"""Workers: list, get, drain, resize."""

from dsched_api_http.call import Answer, Call, Route, listing
from dsched_api_http.problems import not_found
from dsched_api_http.requests import Page
from dsched_api_http.routes.asking import named
from dsched_api_http.scopes import Scope
from dsched_api_http.worker_requests import Drain, Resize
from dsched_api_http.worker_views import WorkerView, worker_of


async def list_workers(call: Call) -> Answer:
    """All workers by id."""
    workers, sizes = await call.client.workers(), await call.client.worker_sizes()

    async def fetch(cursor: str | None, limit: int) -> tuple[list[WorkerView], str | None]:
        rest = [one for one in workers if cursor is None or one.id > cursor]
        page = rest[:limit]
        views = [worker_of(one, sizes.get(one.id)) for one in page]
        return views, page[-1].id if len(rest) > limit else None

    return listing(*await call.page("workers", fetch))


async def answered(call: Call, worker_id: str) -> Answer:
    """A worker as it is now; raises `Problem` 404."""
    for one in await call.client.workers():
        if one.id == worker_id:
            sizes = await call.client.worker_sizes()
            return Answer(body=worker_of(one, sizes.get(worker_id)))
    raise not_found("worker", worker_id)


async def get_worker(call: Call) -> Answer:
    """One worker."""
    return await answered(call, named(call, "worker"))


async def drain_worker(call: Call) -> Answer:
    """Let it take nothing more and hand back what waits, and what runs if asked."""
    worker_id = named(call, "worker")
    await call.client.drain_worker(worker_id, give_back=call.body.give_back)
    return await answered(call, worker_id)


async def resize_worker(call: Call) -> Answer:
    """Change how many it runs at once, or take that back."""
    worker_id = named(call, "worker")
    await call.client.resize_worker(worker_id, call.body.capacity)
    return await answered(call, worker_id)


ROUTES = (
    Route(
        method="GET",
        path="/workers",
        name="worker.list",
        shared=True,
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
        shared=True,
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
        body=Drain,
        answer=WorkerView,
        problems=("not_found",),
        audited=True,
    ),
    Route(
        method="POST",
        path="/workers/{id}/resize",
        name="worker.resize",
        scope=Scope.OPERATE,
        handle=resize_worker,
        summary="Change how many tasks a worker runs at once",
        body=Resize,
        answer=WorkerView,
        problems=("not_found",),
        audited=True,
    ),
)
