"""File, environment, flags: which wins, where a value is from, and what is refused."""

import os
import socket
from typing import Any

import pytest

from dsched.config import PluginSettings, read_plugin_settings, read_settings
from dsched.config.reading import pod_name_of
from dsched.loading import Catalogue, load_catalogue


def test_without_any_source_everything_has_its_default(catalogue: Catalogue, options: Any) -> None:
    loaded = read_settings(None, {}, {}, catalogue)
    assert loaded.settings.store == "sqlite"
    assert loaded.origin("store") == "default"
    assert dict(loaded.executors)["http"] == options.http()
    assert dict(loaded.observers) == {"metrics": options.count()}
    assert dict(loaded.services) == {"metrics": options.page()}


def test_the_environment_overrides_the_file_and_flags_override_both(
    write: Any, catalogue: Catalogue
) -> None:
    path = write("store: sqlite\nschedule:\n  scan_interval: 1s\n  balancer: least-tasks\n")
    env = {"DSCHED_STORE": "sqlite", "DSCHED_SCHEDULE__SCAN_INTERVAL": "2s"}
    loaded = read_settings(path, env, {"store": "redis", "schedule.balancer": None}, catalogue)
    assert loaded.settings.store == "redis"
    assert loaded.settings.schedule.scan_interval.total_seconds() == 2
    assert [
        loaded.origin("store"),
        loaded.origin("schedule", "scan_interval"),
        loaded.origin("schedule", "balancer"),
        loaded.origin("schedule", "leader_lock_ttl"),
    ] == ["flag --store", "env DSCHED_SCHEDULE__SCAN_INTERVAL", "dsched.yaml:4", "default"]


def test_variables_reach_into_the_sections_of_plugins(catalogue: Catalogue, options: Any) -> None:
    env = {
        "DSCHED_REDIS__ADDR": "10.0.0.1:6379",
        "DSCHED_REDIS__PASSWORD": "0123",
        "DSCHED_REDIS__DB": "3",
        "DSCHED_REDIS__URL": "redis://r/1",
        "DSCHED_REDIS__TIMEOUT": "500ms",
        "DSCHED_BALANCERS__HASH_RING__REPLICAS": "64",
        "DSCHED_EXECUTORS__HTTP__ALLOW": "10.0.0.0/8, *.svc.local",
        "DSCHED_METRICS__PORT": "9000",
        "DSCHED_METRICS__BUCKETS": "[1, 2.5]",
        "DSCHED_WORKER__LABELS__ZONE": "1",
        "DSCHED_WORKER__BACKLOG": "5",
    }
    loaded = read_settings(None, env, {}, catalogue)
    redis = loaded.stores["redis"]
    assert (redis.addr, redis.password, redis.db, redis.url) == (
        "10.0.0.1:6379",
        "0123",
        3,
        "redis://r/1",
    )
    assert redis.timeout.total_seconds() == 0.5
    assert loaded.balancers["hash-ring"] == options.ring(replicas=64)
    assert loaded.executors["http"].allow == ("10.0.0.0/8", "*.svc.local")
    assert loaded.services["metrics"].port == 9000
    assert loaded.observers["metrics"].buckets == [1, 2.5]
    assert loaded.settings.worker.labels == {"zone": "1"}
    assert loaded.settings.worker.backlog == 5


def test_mappings_of_several_sources_are_merged_key_by_key(
    write: Any, catalogue: Catalogue
) -> None:
    path = write("worker: {labels: {zone: eu, tier: a}}")
    loaded = read_settings(path, {"DSCHED_WORKER__LABELS": "{tier: b}"}, {}, catalogue)
    assert loaded.settings.worker.labels == {"zone": "eu", "tier": "b"}
    assert loaded.origin("worker", "labels", "tier") == "env DSCHED_WORKER__LABELS"
    assert loaded.origin("worker", "labels", "zone") == "dsched.yaml:1"


def test_an_empty_section_is_as_good_as_none(write: Any, catalogue: Catalogue) -> None:
    path = write("worker:\nredis:\nexecutors:\nbalancers:\nmetrics:\n")
    assert read_settings(path, {}, {}, catalogue).settings.worker.max_concurrent_tasks == 10


def test_the_raw_sections_of_plugins_are_kept(write: Any, catalogue: Catalogue) -> None:
    loaded = read_settings(write("redis: {db: 2}"), {}, {}, catalogue)
    assert dict(loaded.settings.sections) == {"redis": {"db": 2}}
    assert "sections" not in repr(loaded.settings)


def test_options_without_default_are_missed_only_where_they_are_needed(
    write: Any, refused: Any, catalogue: Catalogue
) -> None:
    assert "hash-ring" not in read_settings(None, {}, {}, catalogue).balancers
    problem = ("dsched.yaml", "balancers.hash-ring.replicas", "is missing; it has no default")
    path = write("schedule: {balancer: hash-ring}")
    assert refused(read_settings, path, {}, {}, catalogue) == [problem]
    path = write("balancers: {hash-ring: {}}")
    assert refused(read_settings, path, {}, {}, catalogue) == [problem]


BAD_FILES = {
    "an unknown section": (
        "redsi: {db: 1}",
        [
            (
                "redsi",
                "is neither a section of dsched nor of an installed plugin; did you mean 'redis'?",
            )
        ],
    ),
    "an unknown executor": (
        "executors: {htp: {}}",
        [("executors.htp", "no installed executor is called 'htp'; installed: grpc, http, local")],
    ),
    "an unknown balancer": (
        "schedule: {balancer: random}",
        [
            (
                "schedule.balancer",
                "no installed balancer is called 'random'; installed: hash-ring, least-tasks",
            )
        ],
    ),
    "options of an unknown balancer": (
        "balancers: {random: {}}",
        [
            (
                "balancers.random",
                "no installed balancer is called 'random'; installed: hash-ring, least-tasks",
            )
        ],
    ),
    "an unknown store": (
        "store: mongo",
        [("store", "no installed store is called 'mongo'; installed: redis, sqlite")],
    ),
    "a store that is no name": (
        "store: [redis]",
        [("store", "must be text, got a list; put it in quotes")],
    ),
    "an unknown key of a plugin": (
        "redis: {adr: x}",
        [("redis.adr", "is not a known key; did you mean 'addr'?")],
    ),
    "an unknown key of a section that two plugins share": (
        "metrics: {bnd: x, port: 1, buckets: [1]}",
        [("metrics.bnd", "is not a known key; did you mean 'bind'?")],
    ),
    "a value that the plugin's validator refuses": (
        "redis: {db: -1}",
        [("redis.db", "must be >= 0: -1")],
    ),
    "a section that is no mapping": (
        "redis: 3\nexecutors: [http]",
        [
            ("executors", "must be a mapping of names to their options"),
            ("redis", "must be a mapping of keys to values, got a number (3)"),
        ],
    ),
    "an option of the wrong type": (
        "executors: {http: {allow: 10.0.0.0/8}}",
        [("executors.http.allow", "must be a list, got text ('10.0.0.0/8')")],
    ),
    "a key that is no text": (
        "1: x",
        [
            (
                "[1]",
                (
                    "is neither a section of dsched nor of an installed plugin; there is "
                    "balancers, cluster, executors, log, metrics, plugins, pod, redis, schedule, "
                    "sqlite, store, task, worker"
                ),
            )
        ],
    ),
    "no mapping at all": ("- a\n", [("", "must be a mapping of sections (`store: sqlite`)")]),
    "the same key twice": (
        "store: redis\nstore: sqlite\n",
        [("store", "is there twice, first in line 1; remove one")],
    ),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_bad_file_is_refused_with_file_path_and_reason(
    case: str, write: Any, refused: Any, catalogue: Catalogue
) -> None:
    text, problems = BAD_FILES[case]
    found = refused(read_settings, write(text), {}, {}, catalogue)
    assert found == [("dsched.yaml", path, reason) for path, reason in problems]


def test_problems_carry_the_line_they_are_in(write: Any, catalogue: Catalogue) -> None:
    path = write("store: redis\nredis:\n  db: 1\n  adr: x\n")
    with pytest.raises(Exception, match=r"^dsched\.yaml:4: redis\.adr: is not a known key"):
        read_settings(path, {}, {}, catalogue)


def test_a_default_that_is_not_installed_is_refused_too(refused: Any) -> None:
    remedy = 'installed: none; pip install "dsched[standard]" installs those that ship with dsched'
    assert refused(read_settings, None, {}, {}, load_catalogue(path=[])) == [
        ("defaults", "store", f"no installed store is called 'sqlite'; {remedy}"),
        (
            "defaults",
            "schedule.balancer",
            f"no installed balancer is called 'least-tasks'; {remedy}",
        ),
    ]


BAD_VARIABLES = {
    ("DSCHED_REDIS_ADDR", "x"): "is not a known setting; did you mean 'DSCHED_REDIS__ADDR'? "
    "Else unset it",
    ("DSCHED_ZZZ", "x"): "is not a known setting; settings are named DSCHED_SECTION__KEY. "
    "Else unset it",
    ("DSCHED_REDIS__ADR", "x"): "is not a known key; did you mean 'addr'?",
    ("DSCHED_REDIS__DB", "many"): "must be a whole number, got text ('many')",
    ("DSCHED_REDIS__DB", ""): "must be a whole number, got nothing",
    ("DSCHED_STORE", "mongo"): "no installed store is called 'mongo'; installed: redis, sqlite",
    ("DSCHED_EXECUTORS__FTP__X", "1"): "no installed executor is called 'ftp'; "
    "installed: grpc, http, local",
    ("DSCHED_WORKER__MAX_CONCURRENT_TASKS", "0"): "must be 1 to 10000, got 0",
    ("DSCHED_TASK__DEFAULT_TIMEOUT", "5"): "5 has no unit; add a unit, such as 5s or 5ms",
    ("DSCHED_REDIS__PASSWORD_FILE", "nope"): "cannot be read: No such file or directory; "
    "check the path and its mode",
}


@pytest.mark.parametrize("variable", BAD_VARIABLES, ids="=".join)
def test_a_bad_variable_is_refused_by_its_name(
    variable: tuple[str, str], refused: Any, catalogue: Catalogue
) -> None:
    name, value = variable
    assert refused(read_settings, None, {name: value}, {}, catalogue) == [
        ("environment", name, BAD_VARIABLES[variable])
    ]


def test_a_bad_flag_is_refused_by_its_name(refused: Any, catalogue: Catalogue) -> None:
    assert refused(read_settings, None, {}, {"store": "mongo"}, catalogue) == [
        (
            "command line",
            "--store",
            "no installed store is called 'mongo'; installed: redis, sqlite",
        )
    ]


def test_what_kubernetes_sets_for_a_service_called_dsched_is_ignored(catalogue: Catalogue) -> None:
    env = {
        "DSCHED_PORT": "tcp://10.0.0.1:8700",
        "DSCHED_SERVICE_HOST": "10.0.0.1",
        "DSCHED_SERVICE_PORT": "8700",
        "DSCHED_REDIS_SERVICE_PORT_CLIENT": "6379",
        "DSCHED_REDIS_PORT_6379_TCP_ADDR": "10.0.0.2",
        "OTHER": "x",
    }
    assert read_settings(None, env, {}, catalogue).settings.store == "sqlite"


def test_all_problems_of_all_sources_come_in_one_report(
    write: Any, refused: Any, catalogue: Catalogue
) -> None:
    path = write("stor: redis\nredis: {adr: x}\ntask: {max_retry: -1}\n")
    env = {"DSCHED_WORKER__BACKLOG": "x"}
    found = refused(read_settings, path, env, {"schedule.balancer": "nope"}, catalogue)
    assert {(file, key) for file, key, _ in found} == {
        ("dsched.yaml", "stor"),
        ("dsched.yaml", "redis.adr"),
        ("dsched.yaml", "task.max_retry"),
        ("environment", "DSCHED_WORKER__BACKLOG"),
        ("command line", "--balancer"),
    }


def test_the_pod_is_called_what_the_settings_say(write: Any, catalogue: Catalogue) -> None:
    path = write("pod: {name: mine}")
    loaded = read_settings(path, {"POD_NAME": "other"}, {}, catalogue)
    assert (loaded.settings.pod.name, loaded.origin("pod", "name")) == ("mine", "dsched.yaml:1")


def test_else_it_is_called_as_the_variable_says(catalogue: Catalogue) -> None:
    loaded = read_settings(None, {"POD_NAME": "web-0"}, {}, catalogue)
    assert (loaded.settings.pod.name, loaded.origin("pod", "name")) == ("web-0", "env POD_NAME")


def test_else_it_is_called_as_its_host(
    catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "my_host.local")
    loaded = read_settings(None, {}, {}, catalogue)
    assert (loaded.settings.pod.name, loaded.origin("pod", "name")) == (
        "my-host-local",
        "host name",
    )


def test_a_variable_that_is_no_id_is_refused(refused: Any, catalogue: Catalogue) -> None:
    ((file, key, reason),) = refused(read_settings, None, {"POD_NAME": "a b"}, {}, catalogue)
    assert (file, key) == ("environment", "POD_NAME")
    assert reason.startswith("'a b' is not valid")


@pytest.mark.parametrize("host", ["", "---", "é" * 300, "h" * 300, "-a.b_c-"])
def test_any_host_name_becomes_a_valid_pod_name(
    host: str, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert read_settings(None, {"POD_NAME": pod_name_of(host)}, {}, catalogue)


def test_the_plugin_settings_can_be_read_before_there_is_a_catalogue(write: Any) -> None:
    path = write("plugins: {enabled: [a]}\nredis: {db: 1}\nnobody: 1\n")
    env = {"DSCHED_PLUGINS__DISABLED": "b, c", "DSCHED_REDIS__DB": "2", "DSCHED_NOBODY": "x"}
    settings = read_plugin_settings(path, env, {})
    assert settings == PluginSettings(enabled=("a",), disabled=("b", "c"))


def test_plugin_settings_that_are_wrong_are_reported_with_the_rest(
    write: Any, refused: Any
) -> None:
    path = write("plugins: {enabld: [a]}\ntask: {max_retry: -1}\n")
    assert refused(read_plugin_settings, path, {}, {}) == [
        ("dsched.yaml", "task.max_retry", "must be 0 to 1000000, got -1"),
        ("dsched.yaml", "plugins.enabld", "is not a known key; did you mean 'enabled'?"),
    ]


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_refused(
    write: Any, refused: Any, catalogue: Catalogue
) -> None:
    path = write("store: redis", mode=0)
    ((_, _, reason),) = refused(read_settings, path, {}, {}, catalogue)
    assert reason == "cannot be read: Permission denied; check the path and its mode"


def test_what_the_command_and_the_clients_are_told_is_no_setting(catalogue):
    env = {"DSCHED_URL": "http://127.0.0.1:8700", "DSCHED_TOKEN": "x", "DSCHED_TZ": "UTC"}
    assert read_settings(None, env, {}, catalogue).settings.store == "sqlite"
