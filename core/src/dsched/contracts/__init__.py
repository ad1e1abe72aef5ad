"""What plugin authors import: the contracts, their values, and the hooks to register with."""

from dsched.contracts.balancer import LoadBalancer
from dsched.contracts.executor import Executor, PayloadCheck, TaskFailed, accept_any_payload
from dsched.contracts.executor.context import ExecutionContext, TaskFacts
from dsched.contracts.hookspecs import hookimpl
from dsched.contracts.observer import (
    ClusterGauges,
    HeartbeatSent,
    InstantsMissed,
    InvariantViolated,
    LogEntry,
    NobodyLeads,
    Notice,
    Observer,
    ObserverTrouble,
    Scrape,
    Scraped,
    StoreCalled,
    StoreWrites,
    TermChanged,
    ThreadOutlived,
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
from dsched.contracts.service import (
    EntryError,
    Intake,
    PluginFacts,
    PodStatus,
    PodView,
    Service,
    ServiceError,
)
from dsched.contracts.store import Store
from dsched.contracts.store.dispatching import ReadyTask
from dsched.contracts.store.events import Event, EventKind
from dsched.contracts.store.outcomes import (
    FencedError,
    Outcome,
    RunOutcome,
    StoreError,
    StoreReadOnlyError,
    StoreRefusedError,
    StoreUnavailableError,
)
from dsched.contracts.store.settings import StoreSettings
from dsched.contracts.store.tasklogs import LineLevel, LinePage, LogCaps, TaskLine, as_line

__all__ = [
    "PLUGIN_API",
    "BalancerProvider",
    "ClusterGauges",
    "EntryError",
    "Event",
    "EventKind",
    "ExecutionContext",
    "Executor",
    "ExecutorProvider",
    "FencedError",
    "HeartbeatSent",
    "InstantsMissed",
    "Intake",
    "InvariantViolated",
    "LineLevel",
    "LinePage",
    "LoadBalancer",
    "LogCaps",
    "LogEntry",
    "NoOptions",
    "NobodyLeads",
    "Notice",
    "Observer",
    "ObserverProvider",
    "ObserverTrouble",
    "Outcome",
    "PayloadCheck",
    "PluginFacts",
    "PodStatus",
    "PodView",
    "ReadyTask",
    "RunOutcome",
    "Scrape",
    "Scraped",
    "Service",
    "ServiceError",
    "ServiceProvider",
    "Store",
    "StoreCalled",
    "StoreError",
    "StoreProvider",
    "StoreReadOnlyError",
    "StoreRefusedError",
    "StoreSettings",
    "StoreUnavailableError",
    "StoreWrites",
    "TaskFacts",
    "TaskFailed",
    "TaskLine",
    "TermChanged",
    "ThreadOutlived",
    "accept_any_payload",
    "as_line",
    "hookimpl",
]
