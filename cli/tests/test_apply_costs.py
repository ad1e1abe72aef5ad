"""What `apply` of many configs costs the command and the network, in counts that hold on every
machine."""

import gc
import http.client
import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from dsched.config import yaml_reader
from dsched_cli import firing
from dsched_cli.main import main

if TYPE_CHECKING:
    from conftest import Served

pytestmark = pytest.mark.slow

MANY = 250
BATCHES = 3
RECORD = 500  # bytes of a config as the API answers it, at the least


def write(served: "Served", timeout: str) -> str:
    path = served.folder / "jobs.yaml"
    path.write_text(
        "tasks:\n"
        + "".join(
            f"  - id: job-{one}\n    executor: local\n    cron_expr: '{one % 5} 3 * * *'\n"
            f"    timeout: {timeout}\n    payload: {{function: hello, args: {{name: n{one}}}}}\n"
            for one in range(MANY)
        )
    )
    return str(path)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch, own_pod: "Served") -> Counter[str]:
    """How often an entry is written as JSON, a schedule read, a file looked at closely, a
    connection made, a batch sent; and the bytes of all answers to batches."""
    for name, value in own_pod.env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("XDG_CONFIG_HOME", "/nonexistent")
    found: Counter[str] = Counter()
    encode, connect = json.JSONEncoder.encode, http.client.HTTPConnection.connect
    ask, read = http.client.HTTPConnection.request, http.client.HTTPResponse.read
    schedule, closer = firing.config_of, yaml_reader._read_document

    def encoded(self: json.JSONEncoder, value: Any) -> str:
        listed = value["items"] if isinstance(value, dict) and "items" in value else [value]
        found["texts"] += sum(isinstance(one, dict) and "cron_expr" in one for one in listed)
        return encode(self, value)

    def connected(self: Any) -> None:
        found["connections"] += 1
        connect(self)

    def asked(self: Any, method: str, *given: Any, **more: Any) -> None:
        found["batches"] += method == "POST"
        ask(self, method, *given, **more)

    def answered(self: Any, *amount: int) -> bytes:
        piece = read(self, *amount)
        found["bytes"] += len(piece)
        return piece

    def scheduled(record: Any) -> Any:
        found["schedules"] += 1
        return schedule(record)

    def looked(text: str, file: str) -> Any:
        found["looks"] += 1
        return closer(text, file)

    monkeypatch.setattr(gc, "set_threshold", lambda *_: None)  # the command sets its own
    monkeypatch.setattr(json.JSONEncoder, "encode", encoded)
    monkeypatch.setattr(http.client.HTTPConnection, "connect", connected)
    monkeypatch.setattr(http.client.HTTPConnection, "request", asked)
    monkeypatch.setattr(http.client.HTTPResponse, "read", answered)
    monkeypatch.setattr(firing, "_known", {}, raising=False)
    monkeypatch.setattr(firing, "config_of", scheduled)
    monkeypatch.setattr(yaml_reader, "_read_document", looked)
    return found


def apply(path: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["apply", "-f", path]) == 0
    return capsys.readouterr().err.splitlines()[-1]


def test_new_configs_cost_the_command_little(
    own_pod: "Served", counted: Counter[str], capsys: pytest.CaptureFixture[str]
):
    assert apply(write(own_pod, "2m"), capsys) == f"{MANY} changed, 0 unchanged"
    assert counted["texts"] == MANY, "an entry is written once, for its dry run and for its put"
    assert counted["schedules"] == 5, "what schedules of one text fire is counted once"
    assert counted["looks"] == 0, "a file that is in order is built from its events"
    assert counted["batches"] == 2 * BATCHES
    assert counted["connections"] <= 2 + BATCHES, "one for each put, and two for all dry runs"
    assert counted["bytes"] < MANY * RECORD, "no config is answered that the file has said"


def test_equal_configs_are_read_once_and_not_put(
    own_pod: "Served", counted: Counter[str], capsys: pytest.CaptureFixture[str]
):
    path = write(own_pod, "2m")
    apply(path, capsys)
    counted.clear()
    assert apply(path, capsys) == f"0 changed, {MANY} unchanged"
    assert counted["texts"] == MANY
    assert counted["schedules"] == 0
    assert counted["batches"] == BATCHES
    assert MANY * RECORD < counted["bytes"] < 2 * MANY * RECORD, "the list has each config once"


def test_a_bad_entry_of_many_is_told_with_its_line_and_nothing_is_put(
    own_pod: "Served", counted: Counter[str], capsys: pytest.CaptureFixture[str]
):
    path = Path(write(own_pod, "2m"))
    lines = path.read_text().splitlines()
    place = lines.index("    cron_expr: '4 3 * * *'", len(lines) - 6)
    lines[place] = "    cron_expr: '4 3 * * 9'"
    path.write_text("\n".join(lines))
    assert main(["apply", "-f", str(path)]) != 0
    assert f"{path}:{place + 1}: tasks[{MANY - 1}].cron_expr" in capsys.readouterr().err
    assert counted["looks"] == 1, "for the line"
    assert own_pod.call("GET", "/configs")["items"] == []
