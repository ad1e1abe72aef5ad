"""Open executors for the tests, which find their application and kit in the folder `app`."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from dsched.functions.registry import REGISTRY, Registry
from dsched_executor_local.executor import LocalExecutor
from dsched_executor_local.options import LocalOptions

sys.path.insert(0, str(Path(__file__).parent / "app"))

from dsched_local_test_kit import Opener, Run


@pytest.fixture
def opened() -> Opener:
    """Opens an executor over a registry (default: the global one); closes it, whatever happens."""

    @asynccontextmanager
    async def open_one(registry: Registry = REGISTRY, **options: Any) -> AsyncIterator[Run]:
        executor = LocalExecutor(LocalOptions(**options), registry)
        try:
            yield Run(executor)
        finally:
            await executor.close()

    return open_one
