"""Who can write to the store may forge tasks, and still runs nothing but what is registered:
S04."""

import json
from pathlib import Path

import pytest
import redis

import dsched
from dsched.functions.registry import REGISTRY
from dsched_testkit.servers import RedisServer


async def test_a_task_forged_in_the_store_runs_nothing_that_is_not_registered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    # What the client asked for is what the task is given to a worker by: one has it.
    monkeypatch.setattr(REGISTRY, "_functions", {})
    dsched.task("harmless")(lambda: None)
    mark = tmp_path / "ran"
    forged = [
        {"function": "os.system", "args": [f"touch {mark}"]},
        {"function": "os:system", "args": [f"touch {mark}"]},
        {"function": "subprocess.check_call", "args": [["touch", str(mark)]]},
    ]
    spec = dsched.TaskSpec(
        executor="local",
        payload={"function": "harmless"},
        retry=dsched.RetryPolicy(max_retries=0),
    )
    with RedisServer() as server, redis.Redis(port=server.port) as raw:
        settings = {"store": "redis", "redis": {"addr": server.addr}}
        async with dsched.connect(settings) as client:
            for number, payload in enumerate(forged):
                task_id = await client.submit(spec, task_id=f"forged-{number}")
                (key,) = raw.keys(f"*task:body*{task_id}*")
                body = json.loads(raw.get(key))
                raw.set(key, json.dumps({**body, "payload": payload}))
        async with dsched.pod(settings) as pod:
            for number, payload in enumerate(forged):
                task = await pod.client.wait(f"forged-{number}", timeout_s=20)
                assert task.status == "failed"
                assert task.error is not None
                assert payload["function"] in task.error
    assert not mark.exists()
