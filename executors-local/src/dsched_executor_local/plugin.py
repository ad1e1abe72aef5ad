"""The local executor as a plugin: its name, its options, how it opens."""

import importlib
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from dsched.contracts import Executor, ExecutorProvider, hookimpl
from dsched.functions.registry import REGISTRY
from dsched.model import JsonValue
from dsched_executor_local.environment import check_pass_env
from dsched_executor_local.options import LocalOptions
from dsched_executor_local.payload import payload_problems


class AppImportError(RuntimeError):
    """A module of ``executors.local.app`` that cannot be imported."""


@asynccontextmanager
async def open_local(options: LocalOptions) -> AsyncIterator[Executor]:
    """An executor of the globally registered functions; imports the modules of ``app`` first."""
    # Only now: listing plugins must not import what running them needs.
    from dsched_executor_local.executor import LocalExecutor

    check_pass_env(options.pass_env)
    import_app(options.app)
    executor = LocalExecutor(options, REGISTRY)
    try:
        yield executor
    finally:
        await executor.close()


def import_app(modules: Iterable[str]) -> None:
    """Import the application's modules, which registers their functions."""
    for module in modules:
        try:
            importlib.import_module(module)
        except Exception as error:
            raise AppImportError(
                f"executors.local.app: module {module!r} cannot be imported: "
                f"{type(error).__name__}: {error}; check the name, and that it is installed or "
                "lies on PYTHONPATH"
            ) from error


def check_payload(payload: JsonValue) -> list[str]:
    """The problems of a payload; function names are judged where functions are registered."""
    return payload_problems(payload, REGISTRY)


@hookimpl
def dsched_executors() -> Iterable[ExecutorProvider]:
    """The local executor."""
    return [
        ExecutorProvider(
            name="local",
            protocol="local",
            open=open_local,
            options=LocalOptions,
            check_payload=check_payload,
        )
    ]
