"""Targets that answer 202 and complete the attempt later: each way in which that can go ends."""

import asyncio
import json
import secrets
from contextlib import asynccontextmanager
from datetime import timedelta

import aiohttp
import pytest
import redis.asyncio
from aiohttp import web
from pods import PodProcess, clean_environment, until

import dsched
from dsched.contracts.executor.callback import TOKEN_HEADER, URL_HEADER
from dsched.model import RetryPolicy, TaskSpec, TaskStatus
from dsched_testkit.servers import RedisServer, free_port

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]
SECOND = timedelta(seconds=1)
RETRY_AT_ONCE = RetryPolicy(max_retries=2, retry_delay=timedelta(0))


class Target:
    """Answers 202, and keeps where and how it is to call back."""

    def __init__(self) -> None:
        self.told: list[tuple[str, dict[str, str]]] = []
        self.status = 202
        self.port = free_port()

    async def answer(self, request):
        self.told.append((request.headers[URL_HEADER], dict(request.headers)))
        return web.json_response({}, status=self.status)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/run"


class House:
    """Pods on one file, a target, and what a test asks of both."""

    def __init__(self, folder, target, client, api):
        self.folder, self.target, self.client, self.api = folder, target, client, api
        self.pods: list[PodProcess] = []

    def start(self, name, **more):
        config = {
            "store": "sqlite",
            "sqlite": {"path": "store.db"},
            "pod": {"name": name},
            "log": {"format": "json"},
            "worker": {"heartbeat_interval": "500ms", "heartbeat_timeout": "3s"},
            "api": {"port": self.api, "auth": "token", "admin_token": "dsk_admin_" + "x" * 40},
            "metrics": {"port": 0},
            "executors": {
                "http": {
                    "allow": ["127.0.0.1"],
                    "callback_url": f"http://127.0.0.1:{self.api}",
                }
            },
        } | more
        (self.folder / f"{name}.yaml").write_text(json.dumps(config))
        pod = PodProcess(name, ["--config", f"{name}.yaml"], self.folder, clean_environment())
        self.pods.append(pod)
        return pod

    async def submit(self, **policies):
        payload = {"method": "POST", "url": self.target.url, "callback": True}
        return await self.client.submit(TaskSpec(executor="http", payload=payload, **policies))

    async def told(self, count):
        await until(lambda: len(self.target.told) >= count, f"{count} calls", 40, self.pods)
        return self.target.told[count - 1]

    async def post(self, told, verb, body, *, token=None):
        url, headers = told
        bearer = {"Authorization": f"Bearer {token or headers[TOKEN_HEADER]}"}
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{url}/{verb}", json=body, headers=bearer) as answer,
        ):
            return answer.status, await answer.json()

    async def ended(self, task_id):
        for _ in range(2000):
            task = await self.client.get(task_id, full=True)
            if task.status.terminal:
                return task
            await asyncio.sleep(0.02)
        raise AssertionError(f"{task} has not ended\n" + "\n".join(p.tail() for p in self.pods))


@pytest.fixture
async def house(tmp_path):
    @asynccontextmanager
    async def opened():
        target = Target()
        app = web.Application()
        app.router.add_post("/run", target.answer)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", target.port).start()
        config = {"store": "sqlite", "sqlite": {"path": str(tmp_path / "store.db")}}
        async with dsched.connect(config) as client:
            found = House(tmp_path, target, client, free_port())
            try:
                yield found
            finally:
                for pod in found.pods:
                    pod.end()
                await runner.cleanup()

    async with opened() as found:
        yield found


OK_END = {"success": True, "code": "done", "message": "all of it", "data": {"rows": 3}}


async def test_a_target_completes_its_attempt_later_and_is_heard_meanwhile(house):
    house.start("a")
    task_id = await house.submit()
    told = await house.told(1)
    why = await house.client.why_task(task_id)
    async with asyncio.timeout(20):
        while "waits for its target's callback" not in why.summary:
            why = await house.client.why_task(task_id)
    status, taken = await house.post(told, "progress", {"done": 1, "total": 3, "note": "rows"})
    assert (status, taken) == (200, {"cancel_requested": False})
    lines = {"first": 1, "lines": [{"text": "one"}, {"text": "two", "level": "warning"}]}
    for _ in range(2):  # a repeat adds nothing
        assert (await house.post(told, "lines", lines))[0] == 200
    async with asyncio.timeout(20):
        while (await house.client.get(task_id)).progress.get("done") != 1:
            await asyncio.sleep(0.02)
    for _ in range(2):
        assert (await house.post(told, "complete", OK_END))[0] == 200
    task = await house.ended(task_id)
    assert (task.status, task.attempt) == (TaskStatus.SUCCESS, 1)
    assert (task.result.code, task.result.message, task.result.data) == (
        "done", "all of it", {"rows": 3},
    )  # fmt: skip
    page = await house.client.task_lines(task_id)
    said = [(line.text, line.level) for line in page.lines]
    assert [one for one in said if one[0] in ("one", "two")] == [
        ("one", "info"), ("two", "warning"),
    ]  # fmt: skip


async def test_a_failure_by_callback_is_tried_again_with_a_token_of_its_own(house):
    house.start("a")
    task_id = await house.submit(retry=RETRY_AT_ONCE)
    first = await house.told(1)
    assert (await house.post(first, "complete", {"success": False, "message": "no"}))[0] == 200
    second = await house.told(2)
    assert first[0].endswith("/attempts/1")
    assert second[0].endswith("/attempts/2")
    assert first[1][TOKEN_HEADER] != second[1][TOKEN_HEADER]
    # The first token is good for nothing any more, not even for the second attempt.
    assert (await house.post(first, "progress", {"done": 1}))[0] == 409
    assert (await house.post((second[0], first[1]), "complete", OK_END))[0] == 401
    final = {"success": False, "code": "broken", "message": "for good", "retryable": False}
    assert (await house.post(second, "complete", final))[0] == 200
    task = await house.ended(task_id)
    assert (task.status, task.result.code, task.error) == (TaskStatus.FAILED, "broken", "for good")


async def test_a_second_completion_in_other_words_is_refused(house):
    house.start("a")
    task_id = await house.submit()
    told = await house.told(1)
    assert (await house.post(told, "complete", OK_END))[0] == 200
    status, problem = await house.post(told, "complete", OK_END | {"success": False})
    assert (status, problem["code"]) == (409, "conflict")
    assert (await house.ended(task_id)).status is TaskStatus.SUCCESS


async def test_a_foreign_token_and_an_unknown_attempt_are_refused_alike(house):
    house.start("a")
    task_id = await house.submit()
    told = await house.told(1)
    for where in (told, (told[0].replace("/attempts/1", "/attempts/7"), told[1])):
        for token in ("guessed", secrets.token_urlsafe(32)):
            status, problem = await house.post(where, "complete", OK_END, token=token)
            assert (status, problem["detail"]) == (401, "no attempt waits for this token")
    admin = "dsk_admin_" + "x" * 40  # who may do everything else may not do this
    assert (await house.post(told, "complete", OK_END, token=admin))[0] == 401
    assert (await house.client.get(task_id)).status is TaskStatus.RUNNING


async def test_guesses_are_slowed_down_and_a_good_token_is_not_refused_for_them(house):
    house.start("a")
    task_id = await house.submit()
    told = await house.told(1)

    async def guess():
        return await house.post(told, "complete", OK_END, token=secrets.token_urlsafe(32))

    answers = await asyncio.gather(*(guess() for _ in range(60)))
    assert {status for status, _ in answers} == {401, 429}
    assert (await house.post(told, "complete", OK_END))[0] == 200
    assert (await house.ended(task_id)).status is TaskStatus.SUCCESS


async def test_an_attempt_that_is_not_called_back_times_out_and_a_late_call_changes_nothing(house):
    house.start("a")
    retry = RetryPolicy(max_retries=0)
    task_id = await house.submit(timeout=2 * SECOND, retry=retry)
    told = await house.told(1)
    task = await house.ended(task_id)
    assert (task.status, task.reason) == (TaskStatus.FAILED, "timeout")
    status, problem = await house.post(told, "complete", OK_END)
    assert status == 409
    assert problem["code"] in ("moved", "too_late")
    assert (await house.client.get(task_id)).status is TaskStatus.FAILED


async def test_a_cancelled_attempt_is_over_for_its_target(house):
    house.start("a")
    task_id = await house.submit()
    told = await house.told(1)
    await house.client.cancel(task_id)
    assert (await house.ended(task_id)).status is TaskStatus.CANCELLED
    status, problem = await house.post(told, "complete", OK_END)
    assert (status, problem["code"]) == (409, "moved")


async def test_what_was_said_before_the_worker_died_is_not_done_again(house):
    """The target's word is kept by the store: the next attempt takes it and calls nobody."""
    worker = house.start("a")
    task_id = await house.submit()
    told = await house.told(1)
    worker.pause()  # it will not read its inbox any more
    helper = house.start("b", api={"port": 0, "auth": "token"})
    await until(lambda: helper.said("API: http://"), "the other API", 40, house.pods)
    (line,) = helper.said("API: http://")
    base = line["message"].split("API: ")[1].split("/api/")[0]
    moved = (base + told[0][told[0].index("/api/") :], told[1])
    assert (await house.post(moved, "complete", OK_END))[0] == 200
    worker.kill()
    task = await house.ended(task_id)
    assert (task.status, task.attempt, task.result.code) == (TaskStatus.SUCCESS, 2, "done")
    assert len(house.target.told) == 1


async def test_a_dead_workers_attempt_is_begun_anew_and_the_old_token_is_stale(house):
    worker = house.start("a")
    task_id = await house.submit()
    first = await house.told(1)
    worker.kill()
    house.start("b")
    second = await house.told(2)
    assert (await house.post(first, "complete", OK_END))[0] == 409
    assert (await house.post(second, "complete", OK_END))[0] == 200
    task = await house.ended(task_id)
    assert (task.status, task.crash_count) == (TaskStatus.SUCCESS, 1)


async def test_a_target_that_answers_at_once_need_not_call_back(house):
    house.target.status = 200
    house.start("a")
    task = await house.ended(await house.submit())
    assert (task.status, task.result.code) == (TaskStatus.SUCCESS, "200")


@pytest.mark.parametrize(
    ("verb", "body", "status"),
    [
        ("complete", {}, 422),
        ("complete", {"success": True, "code": "x" * 61}, 422),
        ("complete", {"success": True, "data": "x" * 33_000}, 413),
        ("lines", {"lines": [{"text": "x", "level": "loud"}]}, 422),
        ("lines", {"lines": [{"text": "x"}] * 101}, 422),
        ("progress", {"done": "much"}, 422),
    ],
)
async def test_what_cannot_be_meant_is_refused_and_the_attempt_waits_on(house, verb, body, status):
    house.start("a")
    task_id = await house.submit()
    told = await house.told(1)
    assert (await house.post(told, verb, body))[0] == status
    assert (await house.post(told, "complete", OK_END))[0] == 200
    assert (await house.ended(task_id)).status is TaskStatus.SUCCESS


async def test_a_consumer_of_a_message_calls_back_too(house):
    with RedisServer() as server:
        broker = {"kind": "redis", "url": f"redis://{server.addr}/0", "targets": ["work"]}
        mq = {"allow": ["127.0.0.1"], "brokers": {"jobs": broker}}
        base = f"http://127.0.0.1:{house.api}"
        house.start("a", executors={"mq": mq | {"callback_url": base}})
        payload = {"broker": "jobs", "stream": "work", "json": {"a": 1}, "callback": True}
        task_id = await house.client.submit(TaskSpec(executor="mq", payload=payload))
        headers = await _first_of(server, "work")
        told = (headers[URL_HEADER.lower()], {TOKEN_HEADER: headers[TOKEN_HEADER.lower()]})
        assert (await house.client.get(task_id)).status is TaskStatus.RUNNING
        assert (await house.post(told, "complete", OK_END))[0] == 200
        task = await house.ended(task_id)
        assert (task.status, task.result.data) == (TaskStatus.SUCCESS, {"rows": 3})


async def _first_of(server, stream):
    """The headers of the first message of a stream; its key is there once it has come."""
    async with redis.asyncio.Redis(port=server.port, decode_responses=True) as client:
        async with asyncio.timeout(15):
            while not (found := await client.xrange(stream)):
                await asyncio.sleep(0.02)
    return {name.lower(): value for name, value in found[0][1].items()}
