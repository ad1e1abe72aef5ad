"""`@dsched.task`: registering functions, and binding payloads to them."""

import asyncio
import functools
import inspect
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import dsched
from dsched.contracts.executor import TaskFailed
from dsched.contracts.executor.context import ExecutionContext
from dsched.functions.registry import (
    REGISTRY,
    DuplicateFunctionError,
    Function,
    FunctionContext,
    FunctionError,
    Isolation,
    Registry,
)

CONTEXT: Any = object()


def registered(call: Any, **options: Any) -> Function:
    registry = Registry()
    registry.task("job", **options)(call)
    function = registry.get("job")
    assert function is not None
    return function


def called(call: Any, args: Any) -> Any:
    positional, named = registered(call).arguments(args, CONTEXT)
    return call(*positional, **named)


def test_a_registered_function_stays_the_plain_function_it_was() -> None:
    def add(a: int, b: int) -> int:
        return a + b

    registry = Registry()
    assert registry.task("add")(add) is add
    assert [f.name for f in registry] == ["add"]
    assert add(1, 2) == 3


def test_the_bare_decorator_takes_the_functions_own_name() -> None:
    registry = Registry()

    @registry.task
    def first() -> None: ...

    @registry.task()
    def second() -> None: ...

    assert registry.get("first")
    assert registry.get("second")
    assert len(registry) == 2


def test_dsched_task_fills_the_global_registry() -> None:
    assert dsched.task == REGISTRY.task


def test_isolation_follows_the_kind_of_function_unless_said() -> None:
    async def on_the_loop() -> None: ...

    def in_a_thread() -> None: ...

    assert registered(on_the_loop).isolation is Isolation.ASYNC
    assert registered(in_a_thread).isolation is Isolation.THREAD
    assert registered(in_a_thread, isolation="process").isolation is Isolation.PROCESS
    assert registered(on_the_loop, isolation="process").is_async


@pytest.mark.parametrize("isolation", ["thread", "fork", ""])
def test_an_isolation_that_cannot_work_is_refused(isolation: Any) -> None:
    async def on_the_loop() -> None: ...

    with pytest.raises(FunctionError, match=r"on_the_loop at .*test_registry\.py:\d+"):
        registered(on_the_loop, isolation=isolation)


def test_a_plain_function_cannot_run_on_the_loop() -> None:
    with pytest.raises(FunctionError, match="use 'thread' or 'process'"):
        registered(lambda: None, isolation="async")


def test_two_functions_with_one_name_are_an_error_naming_both_places() -> None:
    registry = Registry()

    @registry.task("job")
    def first() -> None: ...

    with pytest.raises(DuplicateFunctionError) as caught:

        @registry.task("job")
        def second() -> None: ...

    message = str(caught.value)
    assert "first" in message
    assert "second" in message
    assert message.count("test_registry.py:") == 2
    kept = registry.get("job")
    assert kept
    assert kept.call is first


def test_a_reload_registers_the_same_function_again_and_the_newer_wins() -> None:
    registry = Registry()

    def load() -> Any:
        @registry.task("job")
        def job() -> None: ...

        return job

    load()
    newer = load()
    function = registry.get("job")
    assert function
    assert function.call is newer


def test_a_script_that_is_also_imported_by_name_registers_once() -> None:
    registry = Registry()

    def job() -> None: ...

    registry.task("job")(job)
    twin = functools.wraps(job)(lambda: job())
    twin.__module__ = "__main__"
    registry.task("job")(twin)
    assert len(registry) == 1


@pytest.mark.parametrize("name", ["", "a b", "@x", "x" * 129, "a\n", 7])
def test_a_name_that_is_no_id_is_refused(name: Any) -> None:
    with pytest.raises(FunctionError, match=r"not valid|must be text"):
        Registry().task(name)(lambda: None)


def test_a_lambda_needs_a_name() -> None:
    with pytest.raises(FunctionError, match=r"name it with @task\('name'\)"):
        Registry().task(lambda: None)


def test_what_is_no_function_or_never_runs_is_refused() -> None:
    def numbers() -> Any:
        yield 1

    async def later() -> Any:
        yield 1

    for odd in (numbers, later):
        with pytest.raises(FunctionError, match="generator"):
            registered(odd)
    with pytest.raises(FunctionError, match="plain function"):
        registered(functools.partial(print))
    with pytest.raises(FunctionError, match="plain function"):
        registered(dict)


def test_a_mapping_a_list_none_and_a_scalar_become_the_arguments() -> None:
    def job(a: Any = 1, b: Any = 2) -> Any:
        return [a, b]

    assert called(job, {"b": 5}) == [1, 5]
    assert called(job, [7, 8]) == [7, 8]
    assert called(job, None) == [1, 2]
    assert called(job, "text") == ["text", 2]
    assert called(job, False) == [False, 2]
    assert called(job, [{"a": 3}]) == [{"a": 3}, 2]


def misfit(call: Any, args: Any) -> str:
    with pytest.raises(TaskFailed) as caught:
        registered(call).arguments(args, CONTEXT)
    assert caught.value.code == "payload"
    assert caught.value.retryable is False
    return caught.value.message


def test_arguments_that_do_not_fit_are_named() -> None:
    def job(a: int, b: int, *, c: int) -> None: ...

    message = misfit(job, {"a": 1, "x": 2})
    assert message.endswith("missing arguments 'b', 'c'; unexpected argument 'x'")
    assert "job(a: int, b: int, *, c: int)" in message
    assert misfit(job, [1, 2, 3]).endswith("missing argument 'c'; unexpected argument no. 3")
    assert misfit(job, None).endswith("missing arguments 'a', 'b', 'c'")
    assert misfit(job, 1).endswith("missing arguments 'b', 'c'")


def test_a_positional_only_parameter_cannot_come_from_a_mapping() -> None:
    def job(a: int, /) -> int:
        return a

    assert "missing argument 'a'" in misfit(job, {"a": 1})
    assert called(job, [1]) == 1


def test_the_context_reaches_a_parameter_named_ctx_wherever_it_stands() -> None:
    def first(ctx: Any, a: int) -> Any:
        return ctx, a

    def last(a: int, *, ctx: Any) -> Any:
        return ctx, a

    def after_a_default(b: int = 0, a: int = 1, ctx: Any = None, /) -> Any:
        return ctx, a

    assert called(first, [1]) == (CONTEXT, 1)
    assert called(first, {"a": 1}) == (CONTEXT, 1)
    assert called(last, 1) == (CONTEXT, 1)
    assert called(after_a_default, None) == (CONTEXT, 1)


def test_the_context_reaches_a_parameter_annotated_with_its_type() -> None:
    def typed(context: ExecutionContext) -> Any:
        return context

    def fuller(context: FunctionContext) -> Any:
        return context

    def quoted(context: "dsched.FunctionContext") -> Any:
        return context

    assert [called(f, None) for f in (typed, fuller, quoted)] == [CONTEXT] * 3


def test_a_payload_cannot_forge_the_context() -> None:
    def job(ctx: Any, **rest: Any) -> None: ...

    assert "unexpected argument 'ctx'" in misfit(job, {"ctx": 1, "other": 2})


def test_two_context_parameters_are_refused() -> None:
    def job(ctx: Any, context: ExecutionContext) -> None: ...

    with pytest.raises(FunctionError, match="twice, as ctx and context"):
        registered(job)


def test_an_unknown_name_is_answered_with_close_ones() -> None:
    registry = Registry()
    assert "--app" in registry.unknown("report")
    registry.task("report")(lambda: None)
    assert "did you mean 'report'?" in registry.unknown("reprot")
    assert "registered are 'report'" in registry.unknown("os.system")
    assert len(registry.unknown("x" * 100_000)) < 400


SHAPES: list[Any] = [
    lambda: None,
    lambda a: None,
    lambda a, b=1: None,
    lambda a, /, b, *, c=1: None,
    lambda *rest: None,
    lambda a, **rest: None,
    lambda a=1, *rest, b, **more: None,
]
ARGS = st.one_of(
    st.none(),
    st.integers(),
    st.lists(st.integers(), max_size=4),
    st.dictionaries(st.sampled_from("abcx"), st.integers()),
)


@given(st.sampled_from(SHAPES), ARGS)
def test_problems_are_reported_exactly_when_the_call_itself_would_fail(
    call: Any, args: Any
) -> None:
    function = registered(call)
    try:
        if isinstance(args, dict):
            call(**args)
        elif args is None:
            call()
        else:
            call(*(args if isinstance(args, list) else [args]))
        fits = True
    except TypeError:
        fits = False
    assert fits == (function.problems(args) == [])


async def test_an_async_function_stays_awaitable() -> None:
    @Registry().task("nap")
    async def nap() -> str:
        await asyncio.sleep(0)
        return "rested"

    assert await nap() == "rested"


def _plain(a, b=2): ...
def _with_context_first(ctx, a): ...
def _with_context_last(a, b=2, *, ctx): ...
def _by_position(a, /, b=2): ...
def _with_rest(a, **rest): ...
def _only_names(*, a, b=2): ...


@pytest.mark.parametrize(
    "call",
    [_plain, _with_context_first, _with_context_last, _by_position, _with_rest, _only_names],
)
@pytest.mark.parametrize(
    "args", [{}, {"a": 1}, {"b": 1}, {"a": 1, "b": 3}, {"a": 1, "c": 3}, {"a": 1, "ctx": 3}]
)
def test_what_a_mapping_gives_is_what_the_signature_binds(call: Any, args: Any) -> None:
    full = inspect.signature(call)
    takes_context = "ctx" in full.parameters
    given = {**args, "ctx": CONTEXT} if takes_context else args
    try:
        expected = None if takes_context and "ctx" in args else full.bind(**given)
    except TypeError:
        expected = None
    if expected is None:
        with pytest.raises(TaskFailed):
            registered(call).arguments(args, CONTEXT)
        return
    positional, named = registered(call).arguments(args, CONTEXT)
    found = full.bind(*positional, **named)
    for one in (expected, found):
        one.apply_defaults()
    assert found.arguments == expected.arguments
