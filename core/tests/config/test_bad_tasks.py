"""Bad tasks: each field that can be wrong, refused with file, path and reason."""

from typing import Any

import pytest

from dsched.config import TaskSettings
from dsched.config.task_file import read_tasks
from dsched.loading import Catalogue
from dsched.model import TaskConfig


@pytest.fixture
def read(write: Any, catalogue: Catalogue) -> Any:
    def read_text(text: str) -> list[TaskConfig]:
        return read_tasks(write(text, "tasks.yaml"), defaults=TaskSettings(), catalogue=catalogue)

    return read_text


LINES = "executor: local, every: 1h"
BAD_ID = (
    "is not valid: it must start with a letter or digit and have at most 128 of A-Z a-z 0-9 _ . : -"
)
EXACTLY = "give exactly one of cron_expr, every, fixed_delay, at; found"

# The fields of one task (flow style), and its problems: (path below the task, reason or its start).
BAD_TASKS: dict[str, tuple[str, list[tuple[str, str]]]] = {
    "an unknown key": (
        f"id: a, {LINES}, timout: 5m",
        [("timout", "is not a known key; did you mean 'timeout'?")],
    ),
    "a wrong type": (
        f"id: a, {LINES}, priority: high",
        [("priority", "must be a whole number, got text ('high')")],
    ),
    "a number for an id": (
        f"id: 12, {LINES}",
        [("id", "must be text, got a number (12); put it in quotes")],
    ),
    "a priority out of range": (
        f"id: a, {LINES}, priority: 10",
        [("priority", "must be 0 to 9, got 10")],
    ),
    "no id": (LINES, [("id", "is missing; it has no default")]),
    "an id with braces": (f'id: "a{{b}}", {LINES}', [("id", f"'a{{b}}' {BAD_ID}")]),
    "an id with a space": (f"id: a b, {LINES}", [("id", f"'a b' {BAD_ID}")]),
    "an id with a control character": (f'id: "a\\eb", {LINES}', [("id", f"'a\\x1bb' {BAD_ID}")]),
    "an id of 300 characters": (
        f"id: {'x' * 300}, {LINES}",
        [("id", f"'{'x' * 40}...' {BAD_ID}")],
    ),
    "an id with the scheduler's sign": (
        f'id: "a@1", {LINES}',
        [("id", "'a@1' is not valid: '@' is reserved for the scheduler's own ids")],
    ),
    "a duration without unit": (
        "id: a, executor: local, every: 5",
        [("every", "5 has no unit; add a unit, such as 5s or 5ms")],
    ),
    "a duration that is none": (
        f"id: a, {LINES}, timeout: 5 minutes",
        [("timeout", "'5 minutes' is not a duration; write it like")],
    ),
    "a negative duration": (
        f"id: a, {LINES}, jitter: -1s",
        [("jitter", "-1s is negative; only 0s and more is possible here")],
    ),
    "a period below a second": (
        "id: a, executor: local, every: 10ms",
        [("every", "must be 0:00:01 to 3650 days, got 0:00:00.010000")],
    ),
    "a timeout of nothing": (
        f"id: a, {LINES}, timeout: 0s",
        [("timeout", "must be 0:00:00.001000 to 3650 days")],
    ),
    "an impossible date in quotes": (
        'id: a, executor: local, at: "2026-02-30T09:00:00Z"',
        [("at", "'2026-02-30T09:00:00Z' is no date and time (")],
    ),
    "an impossible date of YAML": (
        "id: a, executor: local, at: 2026-02-30T09:00:00Z",
        [("at", "'2026-02-30T09:00:00Z' is no date and time (")],
    ),
    "a date without a time": (
        "id: a, executor: local, at: 2026-02-28",
        [("at", "must be a date and time such as 2026-01-31T09:00:00Z or")],
    ),
    "an instant without offset": (
        "id: a, executor: local, at: 2026-02-28T09:00:00",
        [("at", "2026-02-28 09:00:00 has no UTC offset; add one, such as")],
    ),
    "an end before the start": (
        f"id: a, {LINES}, start_at: 2026-02-28T09:00:00Z, end_at: 2026-01-28T09:00:00Z",
        [("end_at", "must be later than start_at")],
    ),
    "no trigger": ("id: a, executor: local", [("trigger", f"{EXACTLY} none")]),
    "two triggers": (
        'id: a, executor: local, every: 1h, cron_expr: "* * * * *"',
        [("trigger", f"{EXACTLY} cron_expr, every")],
    ),
    "a cron that is none": (
        "id: a, executor: local, cron_expr: hourly please",
        [("cron_expr", "")],
    ),
    "a cron with a date that never comes": (
        'id: a, executor: local, cron_expr: "0 0 30 2 *"',
        [("cron_expr", "no date ever matches")],
    ),
    "a cron of 10 kB": (
        f'id: a, executor: local, cron_expr: "{"1," * 5000}1 * * * *"',
        [("cron_expr", "")],
    ),
    "an unknown zone of a cron": (
        'id: a, executor: local, cron_expr: "0 0 * * *", timezone: Mars/Olympus',
        [("timezone", "")],
    ),
    "an unknown zone beside a bad cron": (
        'id: a, executor: local, cron_expr: "0 0 30 2 *", timezone: Mars/Olympus',
        [("cron_expr", "no date ever matches"), ("timezone", "")],
    ),
    "an unknown zone of a period": (
        f"id: a, {LINES}, timezone: Mars/Olympus",
        [("timezone", "")],
    ),
    "no executor": (
        "id: a, every: 1h",
        [("executor", "is missing; name one of those installed: grpc, http, local")],
    ),
    "an unknown executor": (
        "id: a, executor: htttp, every: 1h",
        [("executor", "no installed executor is called 'htttp'; installed: grpc, http, local")],
    ),
    "an unknown type": (
        "id: a, type: mq, every: 1h",
        [("type", "no installed executor runs type 'mq'; installed types: http, local, rpc")],
    ),
    "a type that disagrees": (
        "id: a, executor: local, type: rpc, every: 1h",
        [("type", "'rpc' disagrees with executor 'local', which runs 'local'; drop one")],
    ),
    "an executor that is no name": (
        "id: a, executor: [http], every: 1h",
        [("executor", "must be text, got a list; put it in quotes")],
    ),
    "a payload that the executor refuses": (
        "id: a, executor: http, every: 1h, payload: {}",
        [("payload", "url is missing")],
    ),
    "a payload whose check raises": (
        "id: a, executor: http, every: 1h, payload: explode",
        [
            (
                "payload",
                ("cannot be judged: the check of "),
            )
        ],
    ),
    "a payload over the bound": (
        f"id: a, {LINES}, payload: {'x' * 270_000}",
        [("payload", "is larger than the 262144 bytes of JSON allowed")],
    ),
    "a date in the payload": (
        f"id: a, {LINES}, payload: {{days: [2026-01-01]}}",
        [("payload.days[0]", "is a date of YAML, which JSON cannot carry; put it in quotes")],
    ),
    "a key in the payload that is no text": (
        f"id: a, {LINES}, payload: {{1: x}}",
        [("payload", "has a key that is not a string: 1")],
    ),
    "a number that JSON has not": (
        f"id: a, {LINES}, payload: .nan",
        [("payload", "is not JSON: ")],
    ),
    "fire_all beside what lets only one of all run": (
        f"id: a, {LINES}, misfire: fire_all",
        [
            (
                "misfire",
                "fire_all makes up for all that was missed, and overlap: skip would run only",
            )
        ],
    ),
    "an unknown policy": (
        f"id: a, {LINES}, overlap: never",
        [
            (
                "overlap",
                (
                    "must be one of skip, allow, queue_one, queue_all, cancel_previous; got "
                    "text ('never')"
                ),
            )
        ],
    ),
    "a retry policy that cannot be": (
        f"id: a, {LINES}, retry: {{max_retries: -1, backoff_rate: 0.5, max_retry: 3}}",
        [
            ("retry.max_retry", "is not a known key; did you mean 'max_retries'?"),
            ("retry.max_retries", "must be 0 to 1000000, got -1"),
            ("retry.backoff_rate", "must be 1 to 100, got 0.5"),
        ],
    ),
    "a retry policy that is none": (
        f"id: a, {LINES}, retry: 3",
        [("retry", "must be a mapping of keys to values, got a number (3)")],
    ),
    "labels that are not text": (
        f"id: a, {LINES}, required_labels: {{gpu: yes}}",
        [("required_labels.gpu", "must be text, got true or false (True); put it in quotes")],
    ),
    "a name with a control character": (
        f'id: a, {LINES}, name: "a\\eb"',
        [("name", "control characters are not allowed")],
    ),
    "what only the store may set": (
        f"id: a, {LINES}, revision: 3",
        [("revision", "is set by the store, never by a file; remove it")],
    ),
    "the container of the reserved fields": (
        f"id: a, {LINES}, reserved: {{}}",
        [("reserved", "is not a known key; ")],
    ),
    "many things at once": (
        (
            'id: a b, executor: nope, cron_expr: "61 * * * *", timezone: 3, priority: 11, '
            "labels: [], misfire_cap: 0, timeout: x, payload: {a: 2026-01-01}"
        ),
        [
            ("executor", "no installed executor is called 'nope'"),
            ("payload.a", "is a date of YAML"),
            ("timezone", "must be text, got a number (3)"),
            ("timeout", "'x' is not a duration"),
            ("labels", "must be a mapping"),
            ("id", "'a b' is not valid"),
            ("priority", "must be 0 to 9, got 11"),
            ("misfire_cap", "must be 1 to 100"),
            ("cron_expr", ""),
        ],
    ),
}
for _field in (
    "parents",
    "shard_index",
    "shard_total",
    "namespace",
    "concurrency_key",
):
    BAD_TASKS[f"the reserved field {_field}"] = (
        f"id: a, {LINES}, {_field}: x",
        [(_field, "is reserved for a later version of dsched; remove it")],
    )


_CONTROLS_SAID = "has control characters or direction marks; leave them out"
for _what, _mark in (
    ("an escape", "\\e"),
    ("a new line", "\\n"),
    ("a turned text", "\\u202e"),
    ("C1", "\\x9b"),
):
    BAD_TASKS[f"{_what} in an owner"] = (
        f'id: a, {LINES}, owner: "team{_mark}a"',
        [("owner", _CONTROLS_SAID)],
    )
    for _field in ("labels", "required_labels"):
        BAD_TASKS[f"{_what} in {_field}"] = (
            f'id: a, {LINES}, {_field}: {{zone: "a{_mark}b"}}',
            [(f"{_field}.zone", _CONTROLS_SAID)],
        )
BAD_TASKS["an escape in the name of a label"] = (
    f'id: a, {LINES}, labels: {{"zo\\u202ene": a}}',
    [("labels.zo\\u202ene", _CONTROLS_SAID)],
)


@pytest.mark.parametrize("case", BAD_TASKS)
def test_a_bad_task_is_refused_with_file_path_and_reason(
    case: str, read: Any, refused: Any
) -> None:
    fields, problems = BAD_TASKS[case]
    found = refused(read, f"tasks:\n  - {{id: fine, executor: local, every: 1h}}\n  - {{{fields}}}")
    assert [(file, path) for file, path, _ in found] == [
        ("tasks.yaml", f"tasks[1].{path}") for path, _ in problems
    ]
    for (_, _, said), (_, expected) in zip(found, problems, strict=True):
        assert said.startswith(expected)
        assert said
        assert said.isprintable()
