"""What a body of a mebibyte costs: time that grows with its bytes, and the pod answers others
meanwhile."""

import gc
import io
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from dsched_api_http.bodies import MAX_BODY_BYTES, parse_json
from dsched_api_http.problems import Problem

SENT = {"Content-Type": "application/json"}
# Of one processor, for a body that is as large as one may be; quadratic work takes minutes.
BOUND_S = 2.0
WRONG_S = 1.0
SHORT_S = 0.2

pytestmark = pytest.mark.timeout(50)


@pytest.fixture(autouse=True)
def _no_garbage_of_other_tests() -> Iterator[None]:
    """The collector of garbage walks over what is measured, not over what thousands of tests
    left."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


def names(count: int) -> list[str]:
    """So many names that no body knows."""
    return [f"{number:x}" for number in range(count)]


def doubled_last() -> bytes:
    """As many names as a body can have, the last of them twice."""
    text = ",".join(f'"{name}":1' for name in names(110_000))
    body = ("{" + text + ',"zz":1,"zz":1}').encode()
    assert 0.9 * MAX_BODY_BYTES < len(body) <= MAX_BODY_BYTES
    return body


def cost_s(work: Callable[[], object]) -> float:
    """The processor time of something that is refused."""
    before_s = time.thread_time()
    with pytest.raises(Problem):
        work()
    return time.thread_time() - before_s


def test_a_name_given_twice_behind_a_hundred_thousand_costs_no_more_than_reading_them() -> None:
    body = doubled_last()
    with pytest.raises(Problem, match="'zz' is given twice"):
        parse_json(body)
    assert cost_s(lambda: parse_json(body)) < BOUND_S


async def cost_of(api: Any, method: str, path: str, body: bytes) -> float:
    """The processor time that a pod spends on a request that it refuses."""
    before_s = time.thread_time()
    reply = await api.ask(method, path, None, SENT, data=io.BytesIO(body))
    assert (reply.status, reply.body["code"]) == (422, "invalid"), reply.text
    assert len(reply.text) < 20_000
    return time.thread_time() - before_s


async def test_a_read_token_cannot_freeze_a_pod_by_a_name_given_twice(api: Any) -> None:
    reader = api.using(await api.token_of("read"))
    assert await cost_of(reader, "POST", "/preview", doubled_last()) < BOUND_S


def wrong_bodies() -> dict[str, tuple[str, str, bytes]]:
    """Bodies in which everything is wrong, as much of it as fits."""
    many: dict[str, Any] = dict.fromkeys(names(90_000), 1)
    # Each of them has to be compared in full with the known key that it almost is.
    close: dict[str, Any] = {f"required_label{name}": 1 for name in names(8_000)}
    headers = {f"expected_statu{name}": 1 for name in names(9_000)}
    entry, task = {"executor": "echo", "every": "1h"}, {"executor": "echo"}
    found: dict[str, tuple[str, str, Any]] = {
        "unknown keys of an entry": ("PUT", "/configs/c", entry | many),
        "unknown keys of a task": ("POST", "/tasks", task | close),
        "unknown keys of a trigger": ("POST", "/preview", many),
        "labels that are none": ("PUT", "/configs/c", entry | {"labels": many}),
        "labels of a task that are none": ("POST", "/tasks", task | {"labels": many}),
        "unknown keys of retry": ("PUT", "/configs/c", entry | {"retry": many}),
        ("unknown keys of a "
        "payload"): ("PUT", "/configs/c", entry | {"executor": "http", "payload": headers}),
        "unknown keys in each of a batch": (
            "POST",
            "/tasks/batch",
            {"items": [dict(list(close.items())[n * 30 : n * 30 + 30]) for n in range(100)]},
        ),
    }  # fmt: skip
    return {
        what: (method, path, json.dumps(body, separators=(",", ":")).encode())
        for what, (method, path, body) in found.items()
    }


BODIES = wrong_bodies()


@pytest.mark.parametrize("what", BODIES)
async def test_a_body_in_which_everything_is_wrong_costs_no_more_than_reading_it(
    api: Any, what: str
) -> None:
    method, path, body = BODIES[what]
    before_s = time.thread_time()
    reply = await api.ask(method, path, None, SENT, data=io.BytesIO(body))
    cost_s = time.thread_time() - before_s
    assert reply.status == (207 if "batch" in what else 422), reply.text
    assert cost_s < WRONG_S
    assert len(reply.text) < (200_000 if "batch" in what else 20_000)


@pytest.mark.parametrize("expression", ["0 0 29 2 *", "0 30 2 29 2 *", "30 2 1 1 *"])
async def test_a_trigger_that_is_rare_is_looked_at_for_a_hundred_years_and_not_a_thousand(
    api: Any, expression: str
) -> None:
    body = {"cron_expr": expression, "timezone": "America/New_York", "limit": 1000}
    before_s = time.thread_time()
    reply = await api.ask("POST", "/preview", {**body, "from": "2026-01-01T00:00:00Z"})
    assert time.thread_time() - before_s < SHORT_S
    found = reply.body["items"]
    assert reply.body["truncated"] is True
    assert 2110 < int(found[-1]["time"][:4]) < 2130
    rest = await api.ask("POST", "/preview", {**body, "from": found[-1]["time"], "limit": 2})
    assert rest.body["items"][0]["time"] == found[-1]["time"]
    assert rest.body["items"][1]["time"] > found[-1]["time"]
