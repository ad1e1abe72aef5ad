"""The entry point: says what this distribution provides, and imports nothing heavy."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import attrs

from dsched.contracts import Executor, ExecutorProvider, hookimpl


@attrs.frozen(kw_only=True)
class SpoolOptions:
    """The section `executors.spool` of the configuration."""

    folder: str = "spool"
    max_bytes: int = 65_536

    def __attrs_post_init__(self) -> None:
        """Refuse what cannot be meant; the error then names file and key."""
        if not self.folder or self.max_bytes < 1:
            raise ValueError("folder must not be empty, and max_bytes must be at least 1")


@asynccontextmanager
async def open_spool(options: SpoolOptions) -> AsyncIterator[Executor]:
    """Open the executor; what it holds is given back when the block is left."""
    from dsched_executor_spool.executor import SpoolExecutor

    yield SpoolExecutor(options.folder, options.max_bytes)


def check_payload(payload: Any) -> list[str]:
    """The problems of a payload, before anything runs: `dsched-run --check` shows them."""
    if not isinstance(payload, dict) or not isinstance(payload.get("text"), str):
        return ["must be a mapping with a text under the key `text`"]
    return [f"{key}: is not a known key; remove it" for key in payload if key != "text"]


@hookimpl
def dsched_executors() -> Iterable[ExecutorProvider]:
    """The spool executor."""
    return [
        ExecutorProvider(
            name="spool",
            protocol="file",
            open=open_spool,
            options=SpoolOptions,
            check_payload=check_payload,
        )
    ]
