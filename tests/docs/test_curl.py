"""What stands in for `curl` on a machine without one exits and prints as it does."""

import http.server
import socket
import subprocess
import sys
import threading

import pytest
from pages import ROOT

PROGRAM = ROOT / "tests/support/curl.py"


class _Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/here" else 503)
        self.end_headers()
        self.wfile.write(b"a body\n")

    def log_message(self, *args):
        """Nothing is logged."""


@pytest.fixture(scope="module")
def address():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def curl(*args: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, str(PROGRAM), *args], capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout


def test_an_answer_is_printed(address):
    assert curl("-sf", f"{address}/here") == (0, "a body\n")


def test_a_refusal_is_22_and_prints_nothing(address):
    assert curl("-sf", f"{address}/away") == (22, "")


def test_nobody_at_the_address_is_7():
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # bound and not listening: refused
        assert curl("-sf", f"http://127.0.0.1:{held.getsockname()[1]}/") == (7, "")


def test_an_option_that_is_not_known_is_refused(address):
    assert curl("-sf", "-X", "POST", f"{address}/here")[0] == 2
