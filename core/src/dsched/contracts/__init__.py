"""What plugin authors import: the contracts, their values, and the hooks to register with."""

from dsched.contracts.balancer import LoadBalancer
from dsched.contracts.executor import (
    ExecutionContext,
    Executor,
    PayloadCheck,
    TaskFacts,
    TaskFailed,
    accept_any_payload,
)
from dsched.contracts.hookspecs import hookimpl
from dsched.contracts.observer import (
    ClusterGauges,
    HeartbeatSent,
    InvariantViolated,
    LogEntry,
    Notice,
    Observer,
    ObserverTrouble,
    StoreCalled,
    TermChanged,
    ThreadOutlived,
)
from dsched.contracts.outcomes import (
    FencedError,
    Outcome,
    RunOutcome,
    StoreError,
    StoreRefusedError,
    StoreUnavailableError,
)
from dsched.contracts.providers import (
    PLUGIN_API,
    BalancerProvider,
    ExecutorProvider,
    NoOptions,
    ObserverProvider,
    ServiceProvider,
    StoreProvider,
)
from dsched.contracts.service import PodStatus, PodView, Service
from dsched.contracts.steps import Event, EventKind, ReadyTask
from dsched.contracts.store import Store, StoreSettings
from dsched.contracts.tasklogs import LineLevel, LinePage, LogCaps, TaskLine, as_line

__all__ = [
    "PLUGIN_API",
    "BalancerProvider",
    "ClusterGauges",
    "Event",
    "EventKind",
    "ExecutionContext",
    "Executor",
    "ExecutorProvider",
    "FencedError",
    "HeartbeatSent",
    "InvariantViolated",
    "LineLevel",
    "LinePage",
    "LoadBalancer",
    "LogCaps",
    "LogEntry",
    "NoOptions",
    "Notice",
    "Observer",
    "ObserverProvider",
    "ObserverTrouble",
    "Outcome",
    "PayloadCheck",
    "PodStatus",
    "PodView",
    "ReadyTask",
    "RunOutcome",
    "Service",
    "ServiceProvider",
    "Store",
    "StoreCalled",
    "StoreError",
    "StoreProvider",
    "StoreRefusedError",
    "StoreSettings",
    "StoreUnavailableError",
    "TaskFacts",
    "TaskFailed",
    "TaskLine",
    "TermChanged",
    "ThreadOutlived",
    "accept_any_payload",
    "as_line",
    "hookimpl",
]
