"""The pytest plugin of dsched-testkit: the fixture `dsched_cluster`. Imports nothing of dsched."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from dsched_testkit.cluster.cluster import VirtualCluster


@pytest.fixture
def dsched_cluster(request: pytest.FixtureRequest) -> "Iterator[Callable[..., VirtualCluster]]":
    """Open a cluster in virtual time: ``cluster = dsched_cluster("tasks.yaml", start=...)``.

    The arguments are those of `dsched_testkit.cluster.cluster.open_cluster`; relative paths start
    at the test's own folder. At the end of the test each cluster is checked against the promises of
    dsched, and closed.
    """
    from dsched_testkit.cluster.cluster import open_cluster

    with ExitStack() as stack:

        def opened(*args: Any, **options: Any) -> "VirtualCluster":
            cluster = open_cluster(request.path.parent, *args, **options)
            stack.callback(cluster.close)
            stack.callback(cluster.check)
            return cluster

        yield opened
