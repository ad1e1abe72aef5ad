"""A server for the measure `http`, in a process of its own: it says its port, and answers."""

import asyncio
import sys

from aiohttp import web

ANSWER = b'{"done": true, "took": 12}'


async def answer(request: web.Request) -> web.Response:
    """Read the request's body, and say a short JSON."""
    await request.read()
    return web.Response(body=ANSWER, content_type="application/json")


async def serve() -> None:
    """Until killed."""
    application = web.Application()
    application.router.add_route("*", "/", answer)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(site._server.sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    sys.exit(asyncio.run(serve()))
