"""Several workers of one server: uvicorn --workers 2 workers_app:app, or gunicorn -k
uvicorn_worker.UvicornWorker"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import reports
from fastapi import FastAPI

import dsched


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Runs in each worker process after the fork, so each has a pod and a name of its own."""
    name = f"{os.environ.get('POD_NAME', 'web')}-{os.getpid()}"
    async with dsched.pod({"pod": {"app": "reports", "name": name}}, start_timeout="60s") as pod:
        app.state.pod = pod
        yield


app = FastAPI(lifespan=lifespan)


@app.post("/reports", status_code=202)
async def order(name: str, seconds: float = 0.0) -> dict[str, str]:
    """Submit the work through the pod of this worker process."""
    return {"task": await reports.render.submit(name, seconds)}


@app.get("/ready")
async def ready() -> dict[str, object]:
    """What a load balancer asks: false while the pod drains, or its store does not answer."""
    status = app.state.pod.status()
    return {"ready": status.ready, "detail": status.detail, "process": os.getpid()}
