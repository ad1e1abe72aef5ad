"""A sync application, one of WSGI, that submits: its workers and threads share a held client
each."""

import json
import os
from collections.abc import Callable, Iterable
from threading import Lock
from typing import Any

import reports

import dsched
from dsched.errors import NotFoundError

_lock = Lock()
_held: dict[int, dsched.BlockingClient] = {}


def client() -> dsched.BlockingClient:
    """The client of this process, opened at its first use: never before a server has forked."""
    with _lock:
        if os.getpid() not in _held:
            _held[os.getpid()] = dsched.connect_blocking(by="web", timeout="5s")
        return _held[os.getpid()]


def app(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
    """POST /reports/NAME submits, GET /reports/TASK looks; a store that is away is a 503."""
    what = environ["PATH_INFO"].removeprefix("/reports/")
    try:
        if environ["REQUEST_METHOD"] == "POST":
            status, body = "202 Accepted", {"task": client().start(reports.render, what)}
        else:
            status, body = "200 OK", {"status": client().get(what).status}
    except NotFoundError:
        status, body = "404 Not Found", {}
    except dsched.StoreUnavailableError as error:
        status, body = "503 Service Unavailable", {"error": str(error)}
    start(status, [("Content-Type", "application/json")])
    return [json.dumps(body).encode()]
