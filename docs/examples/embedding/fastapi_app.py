"""A FastAPI application whose replicas carry dsched: uvicorn fastapi_app:app"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import reports
from fastapi import FastAPI, HTTPException

import dsched
from dsched.client import NotFoundError


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """The pod lives as long as the application, and is drained when it stops."""
    async with dsched.pod({"pod": {"app": "reports"}}) as pod:
        app.state.client = pod.client
        yield


app = FastAPI(lifespan=lifespan)


@app.post("/reports", status_code=202)
async def order(name: str, seconds: float = 0.0) -> dict[str, str]:
    """Submit the work; any replica's worker does it."""
    return {"task": await reports.render.submit(name, seconds)}


@app.get("/reports/{task_id}")
async def look(task_id: str) -> dict[str, object]:
    """How it is, from whichever replica is asked."""
    try:
        task = await app.state.client.get(task_id)
    except NotFoundError as error:
        raise HTTPException(404) from error
    return {"status": task.status, "result": task.result and task.result.data}
