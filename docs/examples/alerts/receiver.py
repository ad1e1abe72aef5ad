"""Takes dsched's alerts, if they are genuine, and prints them."""

import json
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

from dsched_alerts.signing import HEADER, verify

SECRET = Path("alert-secret").read_text().strip()


class Receiver(BaseHTTPRequestHandler):
    """204 for an alert that this secret signed within the last minutes, 401 for anything else."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        genuine = verify(SECRET, self.headers.get(HEADER, ""), body, time.time())
        self.send_response(204 if genuine else 401)
        self.end_headers()
        if genuine:
            alert = json.loads(body)
            print(alert["kind"], alert["state"], alert["summary"], flush=True)


HTTPServer(("127.0.0.1", int(sys.argv[1].rpartition(":")[2])), Receiver).serve_forever()
