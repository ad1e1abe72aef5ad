"""`--print-config`: every value and its origin, and never a secret."""

from typing import Any

from dsched.config import print_config, read_settings
from dsched.config.yaml_reader import parse_yaml
from dsched.loading import Catalogue

CANARY = "hunter2-canary"


def lines_of(text: str) -> dict[str, str]:
    """Each printed line without its padding, by its key."""
    return {line.split(":")[0].strip(): " ".join(line.split()) for line in text.splitlines()}


def test_each_value_is_shown_with_its_origin(write: Any, catalogue: Catalogue) -> None:
    path = write("store: redis\nredis:\n  addr: r:1\n  db: 2\n")
    env = {"DSCHED_REDIS__POOL_SIZE": "20", "POD_NAME": "pod-1"}
    printed = lines_of(
        print_config(read_settings(path, env, {"worker.max_concurrent_tasks": 3}, catalogue))
    )
    assert [
        printed[key]
        for key in ("store", "addr", "pool_size", "max_concurrent_tasks", "scan_interval", "name")
    ] == [
        "store: redis # dsched.yaml:1",
        "addr: r:1 # dsched.yaml:3",
        "pool_size: 20 # env DSCHED_REDIS__POOL_SIZE",
        "max_concurrent_tasks: 3 # flag --max-concurrent-tasks",
        "scan_interval: 5s # default",
        "name: pod-1 # env POD_NAME",
    ]


def test_no_secret_is_shown_wherever_it_was_set(write: Any, catalogue: Catalogue) -> None:
    write(CANARY, "secret")
    path = write(
        f"store: redis\nredis: {{password_file: secret, url: 'redis://u:{CANARY}@h/0'}}\n"
        f"executors: {{http: {{secrets: {{api: {CANARY}}}}}}}\n"
    )
    env = {"DSCHED_EXECUTORS__HTTP__SECRETS__OTHER": CANARY}
    loaded = read_settings(path, env, {}, catalogue)
    assert loaded.stores["redis"].password == CANARY
    assert loaded.executors["http"].secrets == {"api": CANARY, "other": CANARY}
    text = print_config(loaded)
    assert CANARY not in text
    assert CANARY not in repr(loaded)
    printed = lines_of(text)
    assert printed["password"] == (
        "password: '********' # dsched.yaml:2, read from the file named there"
    )
    assert printed["url"] == "url: redis://********@h/0 # dsched.yaml:2"
    assert printed["other"] == "other: '********' # env DSCHED_EXECUTORS__HTTP__SECRETS__OTHER"


def test_a_secret_that_is_not_set_is_shown_as_such(catalogue: Catalogue) -> None:
    text = print_config(read_settings(None, {}, {"store": "redis"}, catalogue))
    assert lines_of(text)["password"] == "password: '' # default"


def test_what_is_printed_can_be_read_back(write: Any, catalogue: Catalogue) -> None:
    path = write(
        "store: redis\nworker: {labels: {zone: 'no', n: '1', odd: 'a: b # c'}, "
        "drain_timeout: 90s}\n"
        "plugins: {disabled: [x, 'y z']}\nmetrics: {buckets: [0.5, 1], port: 1}\n"
        "balancers: {hash-ring: {replicas: 3}}\npod: {name: p}\n"
    )
    first = read_settings(path, {}, {}, catalogue)
    text = print_config(first)
    assert parse_yaml(text.encode(), "x").problems == ()
    again = read_settings(write(text, "again.yaml"), {}, {}, catalogue)
    for part in ("schedule", "worker", "task", "store", "pod", "plugins", "log"):
        assert getattr(again.settings, part) == getattr(first.settings, part)
    for kind in ("executors", "balancers", "stores", "observers", "services"):
        assert dict(getattr(again, kind)) == dict(getattr(first, kind))


def test_stores_and_balancers_that_are_not_chosen_are_left_out(catalogue: Catalogue) -> None:
    text = print_config(read_settings(None, {}, {}, catalogue))
    assert "sqlite:" in text
    assert "redis:" not in text
    assert "hash-ring" not in text
