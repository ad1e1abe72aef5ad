"""The services that the quickstart calls: a small web server and a gRPC service.

They have nothing to do with dsched: in real life they are your own. Started by run.py, they print
their two ports and end when their standard input does, so they never outlive who started them.
"""

import asyncio
import sys
from collections import OrderedDict

import grpc
from aiohttp import web
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1._async import HealthServicer
from grpc_reflection.v1alpha import reflection

HTTP_PORT, GRPC_PORT = 8765, 8766
MAX_REMEMBERED = 1000

_seen: OrderedDict[str, None] = OrderedDict()


async def echo(request: web.Request) -> web.Response:
    """Answers with what it was sent."""
    return web.json_response({"you sent": await request.json()})


async def fails_once(request: web.Request) -> web.Response:
    """503 for the first call of each task, 200 after: a task is known by its idempotency key."""
    key = request.headers.get("Idempotency-Key", "")
    if key in _seen:
        return web.json_response({"attempt": int(request.headers["X-Dsched-Attempt"])})
    _seen[key] = None
    if len(_seen) > MAX_REMEMBERED:
        _seen.popitem(last=False)
    return web.Response(status=503, text="not yet")


async def start_http() -> tuple[web.AppRunner, int]:
    """The web server, and its port: 8765 if that is free, else any."""
    app = web.Application()
    app.add_routes([web.post("/echo", echo), web.get("/fails-once", fails_once)])
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", HTTP_PORT).start()
    except OSError:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
    return runner, runner.addresses[0][1]


async def start_grpc() -> tuple[grpc.aio.Server, int]:
    """The standard health service with reflection, and its port."""
    # Without so_reuseport=0 a taken port would be shared silently.
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    health = HealthServicer()
    await health.set("shop", health_pb2.HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    reflection.enable_server_reflection(["grpc.health.v1.Health", reflection.SERVICE_NAME], server)
    try:
        port = server.add_insecure_port(f"127.0.0.1:{GRPC_PORT}")
    except RuntimeError:
        port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    return server, port


async def main() -> None:
    """Serve until standard input ends."""
    runner, http_port = await start_http()
    server, grpc_port = await start_grpc()
    print(http_port, grpc_port, flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await server.stop(grace=0.2)
    await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(main())
