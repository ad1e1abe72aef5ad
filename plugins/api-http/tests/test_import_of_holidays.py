"""The library of holidays is imported beside the loop of a pod, not on it."""

import subprocess
import sys

import pytest

PROGRAM = """
import asyncio, sys, threading, types
from dsched_api_http.bodies import read_json

WHO = []


class Watch:
    def find_spec(self, name, path=None, target=None):
        if name == "holidays":
            WHO.append(threading.current_thread() is threading.main_thread())


class Request:
    content_type = "application/json"

    def __init__(self, body):
        self.body = body

    async def read(self):
        return self.body


async def main():
    await read_json(Request(b'{"calendar": {"skip": [{"dates": []}]}}'))
    assert "holidays" not in sys.modules
    await read_json(Request(b'{"calendar": {"skip": [{"holidays": "DE"}]}}'))


sys.meta_path.insert(0, Watch())
asyncio.run(main())
print(WHO, "holidays" in sys.modules)
"""


@pytest.mark.slow
@pytest.mark.timeout(60)
def test_a_body_that_names_holidays_has_the_library_imported_by_another_thread():
    pytest.importorskip("holidays")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False, timeout=50
    )
    assert (done.stdout.strip(), done.stderr) == ("[False] True", "")
