"""The cluster at a glance."""

from importlib.metadata import version

from dsched.contracts.store.unrunnable import LimitSince, told_now
from dsched.model import Demand, demand_of, rfc3339_ms
from dsched_api_http.call import Answer, Call, Route
from dsched_api_http.cluster_views import (
    DemandView,
    FullView,
    StoreView,
    UnrunnableView,
    WaitingUnderView,
)
from dsched_api_http.models import Cluster, CountsView, leader_of
from dsched_api_http.scopes import Scope
from dsched_api_http.wire import optional_time


async def get_cluster(call: Call) -> Answer:
    """Who leads, how much there is of what, and the store's clock."""
    counts = await call.client.counts()
    workers = await call.client.workers()
    demand = demand_of(counts.by_home, workers, nobody=counts.nobody)
    pod = call.api.pod.status()
    told = await told_now(call.store)
    return Answer(
        body=Cluster(
            leader=leader_of(await call.store.leader()),
            counts=CountsView(
                by_status={status.value: count for status, count in counts.by_status.items()},
                by_home={home.value: count for home, count in counts.by_home.items()},
                oldest_ready=optional_time(counts.oldest_ready_ms),
            ),
            configs=counts.configs,
            workers=sum(not (one.silent or one.gone) for one in workers),
            demand=_view(demand),
            store=StoreView(
                writable=not pod.writes_refused,
                reason=pod.writes_refused,
                words=pod.store_words,
            ),
            unrunnable=tuple(
                UnrunnableView(reason=one.reason, tasks=one.tasks, since=rfc3339_ms(one.since_ms))
                for one in told.unrunnable
            ),
            full=tuple(
                FullView(demands=one.demands, tasks=one.tasks, since=rfc3339_ms(one.since_ms))
                for one in told.full
            ),
            limits=tuple(map(_under, told.limits)),
            store_time=rfc3339_ms(counts.time.now_ms),
            clock_gen=counts.time.clock_gen,
            version=version("dsched"),
        )
    )


def _under(one: LimitSince) -> WaitingUnderView:
    return WaitingUnderView(
        limit=one.name,
        tasks=one.tasks,
        since=rfc3339_ms(one.since_ms),
        held=one.held,
        max_running=one.most,
    )


def _view(demand: Demand) -> DemandView:
    return DemandView(
        slots=demand.slots,
        waiting=demand.waiting,
        capacity=demand.capacity,
        wanted_workers=demand.wanted_workers,
    )


ROUTES = (
    Route(
        method="GET",
        path="/cluster",
        name="cluster.get",
        scope=Scope.READ,
        handle=get_cluster,
        summary="The cluster at a glance",
        answer=Cluster,
    ),
)
