"""What the log of `dsched-run` looks like, and what cannot be smuggled into it."""

import json
import logging

from dsched.launcher.logs import JsonLines, OnceInAWhile, PlainWords


def record(message: str, level: int = logging.INFO, **facts: object) -> logging.LogRecord:
    made = logging.LogRecord("dsched.worker", level, __file__, 1, message, (), None)
    made.__dict__.update(facts)
    return made


def test_a_line_of_a_task_carries_its_id_attempt_and_worker():
    facts = {"task_id": "a@1", "attempt": 2, "worker_id": "w"}
    assert (
        PlainWords()
        .format(record("ended: ok", **facts))
        .endswith("info    worker: ended: ok (task=a@1 attempt=2 worker=w)")
    )
    fields = json.loads(JsonLines().format(record("ended: ok", **facts)))
    assert fields.items() >= {"message": "ended: ok", **facts}.items()


def test_a_message_can_forge_neither_a_line_nor_a_colour():
    line = PlainWords().format(record("name\n12:00:00 error x: forged \x1b[31m"))
    assert "\n" not in line
    assert "\x1b" not in line
    assert "\\n12:00:00" in line


def test_a_warning_is_not_repeated_word_for_word_within_ten_seconds():
    once = OnceInAWhile()
    shown = [once.filter(record("no append-only file", logging.WARNING)) for _ in range(3)]
    assert shown == [True, False, False]
    assert once.filter(record("another", logging.WARNING))
    later = record("no append-only file", logging.WARNING)
    later.created += 11
    assert once.filter(later)


def test_lines_of_tasks_and_errors_are_always_shown():
    once = OnceInAWhile()
    facts = {"task_id": "a@1"}
    assert all(once.filter(record("slow", logging.WARNING, **facts)) for _ in range(2))
    assert all(once.filter(record("broken", logging.ERROR)) for _ in range(2))
