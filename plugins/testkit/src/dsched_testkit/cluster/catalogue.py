"""The plugins of a virtual cluster: those that are installed, and stand-ins for usual ones that are
not.

So the testkit works alone: a test needs no store, and no client of a network that is not there.
"""

from collections.abc import Iterable, Sequence
from contextlib import AbstractAsyncContextManager

from dsched.contracts import (
    BalancerProvider,
    Executor,
    ExecutorProvider,
    NoOptions,
    ReadyTask,
    hookimpl,
)
from dsched.loading import Catalogue, load_catalogue
from dsched.model import Worker

BALANCER = "least-tasks"  # the default of the settings
EXECUTORS = ("local", "http", "grpc", "mq")  # those that ship with dsched, named like their types


class LeastLoaded:
    """Stands in for the default balancer."""

    def choose(self, task: ReadyTask, workers: Sequence[Worker], turn: int) -> Worker | None:  # noqa: ARG002
        """The least filled worker."""
        return min(workers, key=lambda one: (one.load / one.limit, one.id), default=None)


def cluster_catalogue(stand_ins: Iterable[str] = ()) -> Catalogue:
    """What is installed; and what ships with dsched, or has a stand-in, as far as it is not.

    An executor that is stood in for takes any payload: who would judge it is not installed.
    """
    installed = load_catalogue()
    wanted = dict.fromkeys((*EXECUTORS, *stand_ins))
    missing = [name for name in wanted if name not in installed.executors]
    plugin = _StandIns(missing, balancer=BALANCER not in installed.balancers)
    return load_catalogue(extra_plugins=[plugin])


class _StandIns:
    """A plugin that provides what is missing."""

    def __init__(self, executors: Sequence[str], *, balancer: bool) -> None:
        self._executors = executors
        self._balancer = balancer

    @hookimpl
    def dsched_executors(self) -> list[ExecutorProvider]:
        return [ExecutorProvider(name=one, protocol=one, open=_opened) for one in self._executors]

    @hookimpl
    def dsched_balancers(self) -> list[BalancerProvider]:
        one = BalancerProvider(name=BALANCER, build=lambda _options: LeastLoaded())
        return [one] if self._balancer else []


def _opened(_options: NoOptions) -> AbstractAsyncContextManager[Executor]:
    raise NotImplementedError("a virtual cluster opens no executor: its pods are given their own")
