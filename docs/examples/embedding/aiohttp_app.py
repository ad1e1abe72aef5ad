"""An aiohttp application whose replicas carry dsched: python aiohttp_app.py 8080"""

import sys
from collections.abc import AsyncIterator

import reports
from aiohttp import web

import dsched
from dsched.client import Client, NotFoundError

CLIENT = web.AppKey("client", Client)


async def carry_dsched(app: web.Application) -> AsyncIterator[None]:
    """The pod lives as long as the application, and is drained when it stops."""
    async with dsched.pod({"pod": {"app": "reports"}}) as pod:
        app[CLIENT] = pod.client
        yield


async def order(request: web.Request) -> web.Response:
    """Submit the work; any replica's worker does it."""
    name, seconds = request.query["name"], float(request.query.get("seconds", 0))
    return web.json_response({"task": await reports.render.submit(name, seconds)}, status=202)


async def look(request: web.Request) -> web.Response:
    """How it is, from whichever replica is asked."""
    try:
        task = await request.app[CLIENT].get(request.match_info["task_id"])
    except NotFoundError as error:
        raise web.HTTPNotFound from error
    return web.json_response({"status": task.status, "result": task.result and task.result.data})


app = web.Application()
app.cleanup_ctx.append(carry_dsched)
app.router.add_post("/reports", order)
app.router.add_get("/reports/{task_id}", look)

if __name__ == "__main__":
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]))
