"""About the API itself: plugins, schemas, the OpenAPI document, and the probes."""

from aiohttp import web

from dsched.model import TaskConfig
from dsched_api_http.call import Answer, Call, Route
from dsched_api_http.models import PluginView
from dsched_api_http.problems import Problem
from dsched_api_http.readiness import no_writes
from dsched_api_http.schema import entry_schema
from dsched_api_http.scopes import Scope


async def list_plugins(call: Call) -> Answer:
    """What is installed in the pod that answers."""
    items = [
        PluginView(kind=one.kind, name=one.name, distribution=one.distribution, version=one.version)
        for one in call.intake.plugins()
    ]
    return Answer(body={"items": items, "cursor": None})


async def config_schema(_: Call) -> Answer:
    """The JSON Schema of a config's entry."""
    schema = "https://json-schema.org/draft/2020-12/schema"
    return Answer(body={"$schema": schema, **entry_schema(TaskConfig)})


async def openapi(call: Call) -> Answer:
    """The OpenAPI document of this API."""
    # The document describes the table, and this is a line of it.
    from dsched_api_http.openapi import document
    from dsched_api_http.table import ROUTES as ALL

    del call
    return Answer(body=document(ALL))


async def livez(_: Call) -> web.Response:
    """Whether the process answers; never asks the store."""
    return web.Response(text="alive\n")


async def readyz(call: Call) -> web.Response:
    """Whether the pod is ready and its store answers. Words only: it is open to all."""
    status = call.api.pod.status()
    if not status.ready:
        why = "draining" if status.draining else "not ready"
        if status.writes_refused and not status.draining:
            why = no_writes(status.writes_refused)
        return web.Response(text=f"{why}\n", status=503)
    if trouble := await call.api.readiness.trouble():
        return web.Response(text=f"{trouble}\n", status=503)
    return web.Response(text="ready\n")


async def metrics(call: Call) -> web.Response:
    """The figures of the pod, as Prometheus reads them."""
    page = await call.api.pod.scrape()
    if page is None:
        raise Problem(
            "not_found",
            "this pod keeps no figures",
            hint="install dsched-metrics-prometheus, which also has a page of its own",
        )
    return web.Response(body=page.body, headers={"Content-Type": page.content_type})


ROUTES = (
    Route(
        method="GET",
        path="/plugins",
        name="plugin.list",
        scope=Scope.READ,
        handle=list_plugins,
        summary="What is installed",
        answer=PluginView,
        listed=True,
    ),
    Route(
        method="GET",
        path="/schemas/config",
        name="schema.config",
        scope=Scope.READ,
        handle=config_schema,
        summary="The JSON Schema of a config's entry",
        answer=dict,
    ),
    Route(
        method="GET",
        path="/openapi.json",
        name="openapi",
        scope=None,
        handle=openapi,
        summary="This document",
        answer=dict,
    ),
    Route(
        method="GET",
        path="/livez",
        name="livez",
        scope=None,
        handle=livez,
        summary="Whether the process answers",
        plain=True,
    ),
    Route(
        method="GET",
        path="/readyz",
        name="readyz",
        scope=None,
        handle=readyz,
        summary="Whether the pod is ready",
        also=(503,),
        plain=True,
    ),
    Route(
        method="GET",
        path="/metrics",
        name="metrics",
        scope=Scope.READ,
        handle=metrics,
        summary="The figures of the pod that answers, as Prometheus reads them",
        problems=("not_found",),
        plain=True,
    ),
)
