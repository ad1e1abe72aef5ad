"""Alerts on their way to a real server: signed, tried again, given up, lost, and never led
astray."""

import json
import logging
import time
from datetime import timedelta

import pytest
from alert_hook import SECRET, failed, until

import dsched
from dsched.functions.registry import REGISTRY
from dsched_alerts import observer as observing
from dsched_alerts.observer import delay_s, open_alerts
from dsched_alerts.options import AlertOptions
from dsched_alerts.posting import open_poster
from dsched_alerts.signing import HEADER, verify
from dsched_testkit.suites.observer import ObserverContract


class TestContract(ObserverContract):
    """Unconfigured, as after an installation."""

    def open_observer(self):
        return open_alerts(AlertOptions())


class TestContractWhenNobodyListens(ObserverContract):
    """Configured, and the receiver is away: nothing blocks, nothing is raised."""

    @pytest.fixture(autouse=True)
    def in_a_hurry(self, monkeypatch):
        monkeypatch.setattr(observing, "DRAIN_S", 0.1)

    def open_observer(self):
        return open_alerts(
            AlertOptions(url="http://127.0.0.1:9/", secret=SECRET, allow=("127.0.0.1",), queue=10)
        )


async def test_a_post_is_signed_and_carries_the_facts(hook):
    async with open_alerts(hook.options(headers={"X-Team": "blue"})) as alerts:
        alerts.notify(failed())
        await hook.until(1)
    (request,) = hook.requests
    assert request.method == "POST"
    assert request.headers["X-Team"] == "blue"
    assert request.headers["Idempotency-Key"] == "failed:1:0"
    assert verify(SECRET, request.headers[HEADER], hook.bodies[0], time.time())
    assert hook.alerts == [
        {
            "id": "failed:1:0",
            "kind": "failed",
            "state": "firing",
            "at": "1970-01-01T00:00:01.000Z",
            "summary": "task job@1000 of job failed: error",
            "config_id": "job",
            "task_id": "job@1000",
            "worker_id": "",
            "reason": "error",
            "value": 12,
            "repeats": 0,
        }
    ]
    assert alerts.deliveries.posted == 1


async def test_a_template_is_the_body(hook):
    template = {"text": "dsched: ${summary}", "attempts": "${value}"}
    async with open_alerts(hook.options(template=template)) as alerts:
        alerts.notify(failed())
    assert hook.alerts == [{"text": "dsched: task job@1000 of job failed: error", "attempts": 12}]


async def test_what_was_not_taken_is_posted_again_and_in_order(hook):
    hook.statuses = [503, 429, 200]
    async with open_alerts(hook.options()) as alerts:
        alerts.notify(failed("1", task="a"))
        alerts.notify(failed("2", task="b"))
        await hook.until(4)
    assert [alert["task_id"] for alert in hook.alerts] == ["a", "a", "a", "b"]
    assert (alerts.deliveries.posted, alerts.deliveries.retried) == (2, 2)
    for request, body in zip(hook.requests, hook.bodies, strict=True):
        assert verify(SECRET, request.headers[HEADER], body, time.time())


async def test_a_refusal_is_given_up_at_once_and_told_without_the_address(hook, caplog):
    hook.statuses = [400, 204]
    async with open_alerts(hook.options()) as alerts:
        alerts.notify(failed("1", task="a"))
        alerts.notify(failed("2", task="b"))
        await hook.until(2)
    assert (alerts.deliveries.posted, alerts.deliveries.failed) == (1, 1)
    assert "alert 'task a failed: error' is given up: 127.0.0.1 answered 400" in caplog.text
    assert "/hook" not in caplog.text


async def test_a_redirect_is_not_followed(hook):
    hook.statuses = [302]
    async with open_alerts(hook.options()) as alerts:
        alerts.notify(failed())
        await until(lambda: alerts.deliveries.failed == 1)
    assert [request.path for request in hook.requests] == ["/hook"]


async def test_giving_up_ends(hook):
    hook.statuses = [500]
    async with open_alerts(hook.options(attempts=2)) as alerts:
        alerts.notify(failed())
        await until(lambda: alerts.deliveries.failed == 1)
    assert len(hook.requests) == 2


async def test_an_address_that_is_not_allowed_is_never_called(hook, caplog):
    with pytest.raises(ValueError, match=r"url: .*loopback.*alerts: .*allow.*127.0.0.1"):
        hook.options(allow=())

    async def lookup(host, port):
        return [(2, "127.0.0.1")]

    named = hook.options(url=hook.url.replace("127.0.0.1", "hooks.example.com"), allow=())
    async with open_poster(named, lookup=lookup) as poster:
        (alert,) = observing.Judge(named).judge(failed(), 0)
        with pytest.raises(observing.DeliveryError, match="loopback") as caught:
            await poster.post(alert)
    assert not caught.value.passing
    assert hook.requests == []


async def test_proxies_of_the_environment_are_not_used(hook, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with open_alerts(hook.options()) as alerts:
        alerts.notify(failed())
    assert len(hook.requests) == 1


async def test_a_full_queue_loses_the_oldest_and_says_so(hook, caplog):
    async with open_alerts(hook.options(queue=2)) as alerts:
        for n in range(5):
            alerts.notify(failed(str(n), task=f"t{n}"))
    assert [alert["task_id"] for alert in hook.alerts] == ["t3", "t4"]
    assert alerts.deliveries.lost == 3
    assert "alerts are lost: the queue is full (1 so far)" in caplog.text


async def test_a_pod_that_stops_posts_what_is_left_but_not_for_ever(hook, monkeypatch, caplog):
    monkeypatch.setattr(observing, "DRAIN_S", 0.3)
    hook.slow_s = 60
    async with open_alerts(hook.options()) as alerts:
        alerts.notify(failed("1", task="a"))
        alerts.notify(failed("2", task="b"))
        await hook.until(1)
    assert alerts.deliveries.lost == 2
    assert "the pod stops" in caplog.text


async def test_the_secret_may_come_from_the_environment(hook, monkeypatch):
    monkeypatch.setenv("HOOK_SECRET", "of the environment alone")
    async with open_alerts(hook.options(secret="secret://env/HOOK_SECRET")) as alerts:
        alerts.notify(failed())
    header = hook.requests[0].headers[HEADER]
    assert verify("of the environment alone", header, hook.bodies[0], time.time())


def test_delays_double_up_to_a_minute():
    assert [delay_s(n, 0.99999) for n in (1, 2, 3)] == pytest.approx([1, 2, 4], rel=0.01)
    assert 30 <= delay_s(50, 0.0) <= 60


async def test_a_pod_tells_of_the_task_that_failed_after_its_retries_and_of_no_other(
    hook, caplog, monkeypatch, tmp_path
):
    # Where no function is registered a client takes any name. No function can have this one, so
    # that no worker is waited for, and each attempt fails.
    monkeypatch.setattr(REGISTRY, "_functions", {})
    caplog.set_level(logging.INFO)
    settings = {
        # The store in memory is one for the whole process: others' failures may be in its log.
        "store": "sqlite",
        "sqlite": {"path": str(tmp_path / "dsched.db")},
        "alerts": {
            "url": hook.url,
            "secret": SECRET,
            "allow": ["127.0.0.1"],
            "kinds": ["failed", "attempt_failed"],
        },
    }
    once = dsched.RetryPolicy(max_retries=1, retry_delay=timedelta(milliseconds=10))
    async with dsched.pod(settings) as pod:
        spec = dsched.TaskSpec(executor="local", payload={"function": "nobody has"}, retry=once)
        await pod.client.submit(spec, task_id="watched")
        await pod.client.wait("watched", timeout_s=20)
        await hook.until(2)
    assert [(one["kind"], one["task_id"]) for one in hook.alerts] == [
        ("attempt_failed", "watched"),
        ("failed", "watched"),
    ]
    assert json.loads(hook.bodies[1])["summary"] == (
        "task watched failed: unknown_function, retries exhausted"
    )
