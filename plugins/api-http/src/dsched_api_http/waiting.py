"""What the API answers while its pod waits for the store: that it lives, and why it is not
ready."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiohttp import web

from dsched_api_http.call import unavailable
from dsched_api_http.options import DEFAULT_PORT, ApiOptions


@asynccontextmanager
async def answering(options: ApiOptions, why: Callable[[], str]) -> AsyncIterator[tuple[str, int]]:
    """Serve probes where the API will be; the address. Raises `OSError` where it cannot listen."""

    async def livez(_: web.Request) -> web.Response:
        return web.Response(text="alive\n")

    async def readyz(_: web.Request) -> web.Response:
        return web.Response(text=f"{why()}\n", status=503)

    async def anything(_: web.Request) -> web.Response:
        return unavailable(f"this pod waits for its store: {why()}").response()

    app = web.Application()
    app.add_routes(
        [
            web.get("/livez", livez),
            web.get("/readyz", readyz),
            web.route("*", "/{rest:.*}", anything),
        ]
    )
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0, handle_signals=False)
    await runner.setup()
    try:
        port = DEFAULT_PORT if options.port is None else options.port
        await web.TCPSite(runner, options.bind, port).start()
        host, bound = runner.addresses[0][:2]
        yield str(host), int(bound)
    finally:
        await runner.cleanup()
