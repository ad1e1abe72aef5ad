"""A catalogue of plugins as different as real ones, and files written for a test."""

from collections.abc import Callable, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import attrs
import pytest

from dsched.config import ConfigError
from dsched.contracts import (
    BalancerProvider,
    ExecutorProvider,
    ObserverProvider,
    ServiceProvider,
    StoreProvider,
    hookimpl,
)
from dsched.loading import Catalogue, load_catalogue


@attrs.frozen(kw_only=True)
class RedisOptions:
    addr: str = "localhost:6379"
    url: str | None = None
    password: str = ""
    db: int = attrs.field(default=0, validator=attrs.validators.ge(0))
    pool_size: int = 10
    key_prefix: str = ""
    timeout: timedelta = timedelta(seconds=2)


@attrs.frozen(kw_only=True)
class SqliteOptions:
    path: str = "dsched.db"


@attrs.frozen(kw_only=True)
class HttpOptions:
    allow: tuple[str, ...] = ()
    secrets: Mapping[str, str] = attrs.field(factory=dict)


@attrs.frozen(kw_only=True)
class RingOptions:
    replicas: int
    load: float = 1.25


@attrs.frozen(kw_only=True)
class PageOptions:
    bind: str = "127.0.0.1"
    port: int | None = None


@attrs.frozen(kw_only=True)
class CountOptions:
    buckets: list[float] = attrs.field(factory=list)


@asynccontextmanager
async def opened(*_: Any) -> Any:
    yield None


def needs_url(payload: Any) -> list[str]:
    if payload == "explode":
        raise KeyError("boom")
    return [] if isinstance(payload, dict) and "url" in payload else ["url is missing"]


class Plugins:
    @hookimpl
    def dsched_executors(self) -> list[ExecutorProvider]:
        return [
            ExecutorProvider(
                name="http",
                protocol="http",
                open=opened,
                options=HttpOptions,
                check_payload=needs_url,
            ),
            ExecutorProvider(name="grpc", protocol="rpc", open=opened),
            ExecutorProvider(name="local", protocol="local", open=opened),
        ]

    @hookimpl
    def dsched_balancers(self) -> list[BalancerProvider]:
        return [
            BalancerProvider(name="least-tasks", build=lambda options: None),
            BalancerProvider(name="hash-ring", build=lambda options: None, options=RingOptions),
        ]

    @hookimpl
    def dsched_stores(self) -> list[StoreProvider]:
        return [
            StoreProvider(name="sqlite", open=opened, options=SqliteOptions),
            StoreProvider(name="redis", open=opened, options=RedisOptions),
        ]

    @hookimpl
    def dsched_observers(self) -> list[ObserverProvider]:
        return [ObserverProvider(name="metrics", open=opened, options=CountOptions)]

    @hookimpl
    def dsched_services(self) -> list[ServiceProvider]:
        return [ServiceProvider(name="metrics", open=opened, options=PageOptions)]


@pytest.fixture
def catalogue() -> Catalogue:
    return load_catalogue(extra_plugins=[Plugins()], path=[])


@pytest.fixture
def options() -> SimpleNamespace:
    """The options classes, to compare with."""
    return SimpleNamespace(
        redis=RedisOptions,
        sqlite=SqliteOptions,
        http=HttpOptions,
        ring=RingOptions,
        page=PageOptions,
        count=CountOptions,
    )


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Write a file into a folder of its own, made the current one; the name as users give it."""
    monkeypatch.chdir(tmp_path)

    def write_file(content: str | bytes, name: str = "dsched.yaml", mode: int = 0o600) -> str:
        data = content.encode() if isinstance(content, str) else content
        (tmp_path / name).write_bytes(data)
        (tmp_path / name).chmod(mode)
        return name

    return write_file


@pytest.fixture
def refused() -> Callable[..., list[tuple[str, str, str]]]:
    """Call something that must be refused: its problems as (file, path, reason)."""

    def call(function: Callable[..., Any], *args: Any, **kwargs: Any) -> list[Any]:
        with pytest.raises(ConfigError) as caught:
            function(*args, **kwargs)
        return [(one.file, one.path, one.reason) for one in caught.value.problems]

    return call
