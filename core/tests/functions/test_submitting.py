"""What a decorated function submits: its payload, its defaults, and through whom."""

import asyncio
import copy
import json
import pickle
from datetime import timedelta

import pytest

from dsched.errors import NoClientError
from dsched.functions.at_hand import at_hand
from dsched.functions.handles import TaskHandle
from dsched.functions.registry import FunctionContext, FunctionError, Registry
from dsched.model import RetryPolicy


class Keeps:
    """A client that keeps what it is handed."""

    def __init__(self):
        self.submitted = []

    async def submit(self, spec, **how):
        self.submitted.append((spec, how))
        self.loop = asyncio.get_running_loop()
        return TaskHandle(how.get("task_id") or "t1", self)

    async def result(self, task_id, *, timeout=None):
        return (task_id, timeout)


@pytest.fixture
def registry():
    return Registry()


def add(a: int, b: int = 2) -> int:
    return a + b


def test_a_decorated_function_is_the_function_itself(registry):
    def double(number):
        return 2 * number

    decorated = registry.task("double")(double)
    assert decorated is double
    assert decorated(4) == 8


@pytest.mark.parametrize(
    ("args", "kwargs", "given"),
    [
        ((1,), {}, [1]),
        ((1, 3), {}, [1, 3]),
        ((1,), {"b": 3}, [1, 3]),
        ((), {"b": 3, "a": 1}, [1, 3]),
    ],
)
def test_arguments_are_said_as_the_function_takes_them(registry, args, kwargs, given):
    spec = registry.task("add")(add).spec(*args, **kwargs)
    assert spec.executor == "local"
    assert spec.payload == {"function": "add", "args": given}


def test_arguments_that_go_by_name_alone_make_a_mapping(registry):
    @registry.task("f")
    def f(a, *, ctx, key=None, **more):
        return a

    assert f.spec(1, key="k", x=2).payload["args"] == {"a": 1, "key": "k", "x": 2}
    assert registry.get("f").problems({"a": 1, "key": "k", "x": 2}) == []


def test_a_call_that_no_payload_can_say_is_refused(registry):
    @registry.task("f")
    def f(a, /, *, key):
        return a

    with pytest.raises(TypeError, match=r"a by position and key by name"):
        f.spec(1, key=2)


def test_no_arguments_are_none(registry):
    @registry.task("f")
    def f(ctx: FunctionContext):
        return None

    assert f.spec().payload == {"function": "f"}


@pytest.mark.parametrize(("args", "kwargs"), [((), {}), ((1, 2, 3), {}), ((1,), {"c": 1})])
def test_arguments_that_do_not_fit_are_refused_at_once(registry, args, kwargs):
    with pytest.raises(TypeError, match="argument"):
        registry.task("add")(add).spec(*args, **kwargs)


def test_what_the_decorator_says_are_defaults_and_options_say_better(registry):
    decorate = registry.task("add", timeout="2m", retry={"max_retries": 9}, priority=7)
    decorated = decorate(add)
    spec = decorated.spec(1)
    assert (spec.timeout, spec.priority) == (timedelta(minutes=2), 7)
    assert spec.retry == RetryPolicy(max_retries=9)
    other = decorated.options(priority=1, timeout=timedelta(seconds=1)).spec(1)
    assert (other.timeout, other.priority) == (timedelta(seconds=1), 1)
    assert other.retry == RetryPolicy(max_retries=9)


@pytest.mark.parametrize(
    ("defaults", "message"),
    [
        ({"timeout": "2"}, "timeout: 2 has no unit"),
        ({"priority": 10}, "priority: must be 0 to 9"),
        ({"retry": {"max_retrys": 1}}, "retry: max_retrys: is not a known key; did you mean"),
        ({"timout": "2s"}, "timout is not known; did you mean 'timeout'"),
    ],
)
def test_bad_defaults_are_refused_where_they_are_written(registry, defaults, message):
    with pytest.raises(FunctionError, match=message):
        registry.task("add", **defaults)(add)


def test_an_unknown_option_is_refused(registry):
    with pytest.raises(TypeError, match="delai is not known; did you mean 'delay'"):
        registry.task("add")(add).options(delai="5m")


async def test_it_goes_through_the_client_of_the_context_and_then_of_the_one_before(registry):
    decorated, outer, inner = registry.task("add")(add), Keeps(), Keeps()
    with at_hand(outer):
        with at_hand(inner):
            handle = await decorated.options(task_id="mine", delay="5m").submit(1)
        await decorated.submit(2)
    assert handle == "mine"
    assert await handle.result(timeout="3s") == ("mine", "3s")
    assert [how for _, how in inner.submitted] == [{"task_id": "mine", "delay": "5m"}]
    assert [spec.payload["args"] for spec, _ in outer.submitted] == [[2]]


async def test_a_named_client_comes_before_the_one_at_hand(registry):
    mine, other = Keeps(), Keeps()
    with at_hand(other):
        await registry.task("add")(add).options(client=mine).submit(1)
    assert len(mine.submitted) == 1
    assert other.submitted == []


async def test_without_a_client_it_says_what_to_do(registry):
    with pytest.raises(NoClientError, match=r"inside `async with dsched.pod.*options\(client="):
        await registry.task("add")(add).submit(1)


async def test_another_task_of_the_loop_uses_the_only_client_and_never_guesses(registry):
    """A web server handles requests in tasks that its start knows nothing of."""
    decorated, only, second, go = registry.task("add")(add), Keeps(), Keeps(), asyncio.Event()

    async def request():
        await go.wait()
        return await decorated.submit(1)

    requests = [asyncio.create_task(request())]
    with at_hand(only):
        go.set()
        await requests[0]
        assert len(only.submitted) == 1
        go.clear()
        late = asyncio.create_task(request())
        await asyncio.sleep(0)
    # It was begun within the block, whose client is closed by now.
    with at_hand(second), at_hand(Keeps()):
        go.set()
        with pytest.raises(NoClientError, match="2 dsched clients are open"):
            await late


async def test_a_thread_with_a_loop_of_its_own_is_served_by_the_clients_loop(registry):
    decorated, client = registry.task("add")(add), Keeps()

    async def there():
        handle = await decorated.submit(1)
        return handle, await handle.result(timeout=2)

    with at_hand(client):
        handle, result = await asyncio.to_thread(lambda: asyncio.run(there()))
    assert client.loop is asyncio.get_running_loop()
    assert (handle, result) == ("t1", ("t1", 2))


def test_a_handle_is_the_id_wherever_an_id_goes():
    handle = TaskHandle("t1", Keeps())
    assert handle.id == "t1"
    assert json.dumps({"task": handle}) == '{"task": "t1"}'
    assert type(handle.id) is str
    assert type(pickle.loads(pickle.dumps(handle))) is str
    assert copy.deepcopy({"task": handle}) == {"task": "t1"}
