"""Code that does not await asks through a client that blocks: python script.py"""

from shop import add

import dsched

with dsched.connect_blocking({"sqlite": {"path": "shop.db"}}, timeout="10s") as client:
    handle = client.start(add, 2, 3)
    print(handle.result(timeout="20s"))
    print(client.start(add.options(delay="1h"), 4, 4).cancel(reason="not needed").outcome)
