"""One module a system, `<name>_client.py`, run by `drive.py` in that system's own environment.

Each offers `opened()` (an async context manager), `noops(count)`, `works_of(sizes, numbers)`,
`ping(sent_s)`, `due(instants)`, and `worker()`. What tasks carry and return is `works`.
`BENCH_REDIS` is the server's ``host:port``, `BENCH_CONCURRENCY` how many tasks a worker may run at
once.
"""

import os

HOST, _, _PORT = os.environ.get("BENCH_REDIS", "127.0.0.1:6379").partition(":")
PORT = int(_PORT)
URL = f"redis://{HOST}:{PORT}/0"
CONCURRENCY = int(os.environ.get("BENCH_CONCURRENCY", "100"))
