"""The page: /metrics for Prometheus, /livez and /readyz for probes."""

import asyncio
import errno
import logging
import os

from aiohttp import web
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from dsched.contracts import PodView, ServiceError
from dsched_metrics_prometheus.metrics import Metrics
from dsched_metrics_prometheus.options import DEFAULT_PORT, MetricsOptions

_log = logging.getLogger(__name__)
_SHUTDOWN_S = 2.0


class PageError(ServiceError):
    """The configured address cannot be served; the message says what to do."""


class MetricsPage:
    """The service ``metrics``. ``address`` is (host, port) while it serves, else None."""

    def __init__(self, metrics: Metrics, options: MetricsOptions) -> None:
        self._metrics = metrics
        self._options = options
        self._rendering = asyncio.Lock()
        self.address: tuple[str, int] | None = None

    async def run(self, pod: PodView) -> None:
        """Serve until cancelled. With the default port taken: stay idle, after a warning."""
        runner = web.AppRunner(
            self._app(pod), access_log=None, shutdown_timeout=_SHUTDOWN_S, handle_signals=False
        )
        await runner.setup()
        try:
            await self._listen(runner)
            await asyncio.Event().wait()  # until cancelled
        finally:
            self.address = None
            await runner.cleanup()

    async def _listen(self, runner: web.AppRunner) -> None:
        bind, port = self._options.bind, self._options.port
        wanted = DEFAULT_PORT if port is None else port
        try:
            await web.TCPSite(runner, bind, wanted).start()
        except OSError as error:
            if port is None and error.errno == errno.EADDRINUSE:
                _log.warning(
                    "the metrics page stays off: its default port %d on %s is taken. Set "
                    "metrics.port to another one (0 picks a free one), or run without the role "
                    "metrics",
                    wanted,
                    bind,
                )
                return
            number = error.errno or 0
            why = os.strerror(number).lower() if number in errno.errorcode else str(error)
            raise PageError(
                f"the metrics page cannot listen on {bind} port {wanted}: {why}. "
                "Set metrics.bind to an address of this host and metrics.port to a free port "
                "(0 picks one), or free this one",
            ) from error
        host, bound = runner.addresses[0][:2]
        self.address = (host, bound)
        _log.info("metrics page: http://%s:%d/metrics", f"[{host}]" if ":" in host else host, bound)

    def _app(self, pod: PodView) -> web.Application:
        async def livez(_: web.Request) -> web.Response:
            return web.Response(text="alive\n")

        async def readyz(_: web.Request) -> web.Response:
            # Words only: this page is open to all who reach it, so no names or addresses.
            status = pod.status()
            if status.ready:
                return web.Response(text="ready\n")
            why = "draining" if status.draining else "not ready"
            if status.writes_refused and not status.draining:
                why = f"the store takes no writes ({status.writes_refused})"
            return web.Response(text=f"{why}\n", status=503)

        app = web.Application()
        app.add_routes(
            [
                web.get("/metrics", self._show),
                web.get("/livez", livez),
                web.get("/readyz", readyz),
            ]
        )
        return app

    async def _show(self, _: web.Request) -> web.Response:
        # A full page takes tens of ms to write: in a thread, so that the pod's loop is not held
        # up, and one at a time.
        async with self._rendering:
            body = await asyncio.to_thread(self._metrics.render)
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})
