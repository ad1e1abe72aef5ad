"""What the page answers while its pod waits for the store: that it lives, and why it is not
ready."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiohttp import web

from dsched_metrics_prometheus.options import DEFAULT_PORT, MetricsOptions


@asynccontextmanager
async def answering(
    options: MetricsOptions, why: Callable[[], str]
) -> AsyncIterator[tuple[str, int]]:
    """Serve probes where the page will be; the address. Raises `OSError` where it cannot listen."""

    async def livez(_: web.Request) -> web.Response:
        return web.Response(text="alive\n")

    async def readyz(_: web.Request) -> web.Response:
        return web.Response(text=f"{why()}\n", status=503)

    app = web.Application()
    app.add_routes([web.get("/livez", livez), web.get("/readyz", readyz)])
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0, handle_signals=False)
    await runner.setup()
    try:
        port = DEFAULT_PORT if options.port is None else options.port
        await web.TCPSite(runner, options.bind, port).start()
        host, bound = runner.addresses[0][:2]
        yield str(host), int(bound)
    finally:
        await runner.cleanup()
