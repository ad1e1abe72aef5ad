"""From installed distributions to a catalogue, and the refusal of whatever is faulty."""

import sys
import types
from collections.abc import Callable
from typing import Any

import pytest

from dsched.contracts import BalancerProvider, ExecutorProvider, hookimpl
from dsched.loading import Fault, NotInstalledError, PluginError, load_catalogue

SOURCE = Callable[..., str]

EVERY_KIND = """
    @attrs.frozen
    class Options:
        size: int = 1

    @hookimpl
    def dsched_executors():
        yield ExecutorProvider(name="wasm", protocol="local", open=opened, options=Options)

    @hookimpl
    def dsched_balancers():
        return (BalancerProvider(name="random", build=lambda options: None),)

    @hookimpl
    def dsched_stores():
        return [StoreProvider(name="etcd", open=opened)]

    @hookimpl
    def dsched_observers():
        return [ObserverProvider(name="statsd", open=opened)]

    @hookimpl
    def dsched_services():
        return [ServiceProvider(name="statsd", open=opened)]
"""


def fault_of(site: Any, **options: Any) -> Fault:
    with pytest.raises(PluginError) as caught:
        site.load(**options)
    (fault,) = caught.value.faults
    return fault


def test_every_kind_of_plugin_is_found_with_its_distribution_and_version(site: Any) -> None:
    site.install("Dsched-Everything", EVERY_KIND, version="2.0rc1")
    catalogue = site.load()
    assert {
        kind: list(getattr(catalogue, kind))
        for kind in ("executors", "balancers", "stores", "observers", "services")
    } == {
        "executors": ["wasm"],
        "balancers": ["random"],
        "stores": ["etcd"],
        "observers": ["statsd"],
        "services": ["statsd"],
    }
    wasm = catalogue.executors["wasm"]
    assert (wasm.distribution, wasm.version) == ("Dsched-Everything", "2.0rc1")
    assert wasm.provider.options(size=3).size == 3
    assert {key: len(all_) for key, all_ in catalogue.sections.items()} == {"etcd": 1, "statsd": 2}


def test_nothing_installed_gives_an_empty_catalogue(site: Any) -> None:
    assert dict(site.load().executors) == {}


def test_the_catalogue_cannot_be_changed(site: Any, executor_source: SOURCE) -> None:
    site.install("one", executor_source())
    with pytest.raises(TypeError):
        site.load().executors["http"] = None


def test_a_plugin_given_in_code_joins_the_installed_ones(
    site: Any, executor_source: SOURCE
) -> None:
    site.install("one", executor_source())

    class InCode:
        @hookimpl
        def dsched_balancers(self) -> list[BalancerProvider]:
            return [BalancerProvider(name="mine", build=lambda options: None)]

    catalogue = site.load(extra_plugins=[InCode()])
    assert list(catalogue.executors) == ["http"]
    assert list(catalogue.balancers) == ["mine"]


BROKEN = {
    "a broken import": (
        "import surely_not_there",
        (
            "importing its plugin 'main' (bad) failed: "
            "ModuleNotFoundError: No module named 'surely_not_there'"
        ),
    ),
    "a syntax error": ("def (", "importing its plugin 'main' (bad) failed: SyntaxError"),
    "an exit at import": ("raise SystemExit(4)", "failed: SystemExit: 4"),
    "a misspelt hook": (
        "@hookimpl\ndef dsched_executor():\n    return []",
        "unknown hook 'dsched_executor'",
    ),
    "a hook that is not marked": (
        "def dsched_executors():\n    return []",
        "its function dsched_executors looks like a hook but is none: mark it with @hookimpl",
    ),
    "a misspelt hook that is not marked beside a good one": (
        "@hookimpl\ndef dsched_stores():\n    return []\ndef dsched_balancer():\n    return []",
        "its function dsched_balancer looks like a hook but is none",
    ),
    "no hook at all": ("x = 1", "it implements none of the hooks dsched_executors, "),
    "a hook with arguments": (
        "@hookimpl\ndef dsched_executors(config):\n    return []",
        "dsched_executors",
    ),
    "a hook that raises": (
        "@hookimpl\ndef dsched_executors():\n    raise KeyError('x')",
        "dsched_executors raised KeyError: 'x'",
    ),
    "a generator that raises half-way": (
        (
            "@hookimpl\ndef dsched_stores():\n"
            "    yield StoreProvider(name='a', open=opened)\n    raise OSError('no')"
        ),
        "dsched_stores raised OSError: no",
    ),
    "an async hook": (
        "@hookimpl\nasync def dsched_executors():\n    return []",
        "dsched_executors is an async function; hooks are plain functions",
    ),
    "a hook that returns nothing": (
        "@hookimpl\ndef dsched_executors():\n    pass",
        "dsched_executors returned None; it must return a list of ExecutorProvider",
    ),
    "a hook that returns text": (
        "@hookimpl\ndef dsched_executors():\n    return 'http'",
        "dsched_executors returned a value of type str; it must return a list",
    ),
    "a bare provider": (
        "@hookimpl\ndef dsched_stores():\n    return StoreProvider(name='a', open=opened)",
        "dsched_stores returned a value of type StoreProvider; it must return a list",
    ),
    "a provider of the wrong kind": (
        "@hookimpl\ndef dsched_executors():\n    return [StoreProvider(name='a', open=opened)]",
        (
            "dsched_executors returned a list with a value of type StoreProvider in it; "
            "each item must be a ExecutorProvider"
        ),
    ),
    "an endless hook": (
        (
            "@hookimpl\ndef dsched_stores():\n    while True:\n"
            "        yield StoreProvider(name='a', open=opened)"
        ),
        "dsched_stores returned more than 1000 providers",
    ),
    "another plugin API": (
        "@hookimpl\ndef dsched_stores():\n    return [StoreProvider(name='a', open=opened, api=7)]",
        "provider 'a' is written for plugin API 7, this dsched has plugin API 1",
    ),
    "a bad name": (
        "@hookimpl\ndef dsched_stores():\n    return [StoreProvider(name='My Store', open=opened)]",
        "provider 'My Store' needs a name of 1 to 64 of a-z 0-9 - _",
    ),
    "a name that is no text": (
        "@hookimpl\ndef dsched_stores():\n    return [StoreProvider(name=None, open=opened)]",
        "provider None needs a name",
    ),
    "a section of the core": (
        "@hookimpl\ndef dsched_stores():\n    return [StoreProvider(name='worker', open=opened)]",
        "provider 'worker' has a name that the configuration uses",
    ),
    "a role of the core": (
        (
            "@hookimpl\ndef dsched_services():\n"
            "    return [ServiceProvider(name='scheduler', open=opened)]"
        ),
        "provider 'scheduler' has the name of a role of the core",
    ),
    "options that are no attrs class": (
        (
            "@hookimpl\ndef dsched_stores():\n"
            "    return [StoreProvider(name='a', open=opened, options=dict)]"
        ),
        "provider 'a': its options must be an attrs class",
    ),
    "options with a type that cannot be resolved": (
        (
            "@attrs.frozen\nclass Options:\n    size: 'Nowhere' = 1\n\n"
            "@hookimpl\ndef dsched_stores():\n"
            "    return [StoreProvider(name='a', open=opened, options=Options)]"
        ),
        "provider 'a': a type of its options cannot be resolved: name 'Nowhere' is not defined",
    ),
    "an opener that cannot be called": (
        "@hookimpl\ndef dsched_stores():\n    return [StoreProvider(name='a', open=None)]",
        "provider 'a': its open cannot be called",
    ),
    "an opener that is an async generator": (
        (
            "async def opens(options):\n    yield 1\n\n"
            "@hookimpl\ndef dsched_executors():\n"
            "    return [ExecutorProvider(name='a', protocol='a', open=opens)]"
        ),
        "provider 'a': its open is no async context manager: decorate it with @asynccontextmanager",
    ),
    "an opener that is a coroutine function": (
        (
            "async def opens(options):\n    return 1\n\n"
            "@hookimpl\ndef dsched_executors():\n"
            "    return [ExecutorProvider(name='a', protocol='a', open=opens)]"
        ),
        "provider 'a': its open is no async context manager: decorate it with @asynccontextmanager",
    ),
    "a payload check that cannot be called": (
        (
            "@hookimpl\ndef dsched_executors():\n    return [ExecutorProvider(name='a', "
            "protocol='a', open=opened, check_payload=1)]"
        ),
        "provider 'a': its check_payload cannot be called",
    ),
    "an empty protocol": (
        (
            "@hookimpl\ndef dsched_executors():\n"
            "    return [ExecutorProvider(name='a', protocol='', open=opened)]"
        ),
        "provider 'a': its protocol '' needs a name",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_faulty_plugin_is_refused_naming_distribution_and_version(
    case: str, site: Any, executor_source: SOURCE
) -> None:
    body, reason = BROKEN[case]
    site.install("good", executor_source())
    site.install("bad", body, version="0.9")
    fault = fault_of(site)
    assert (fault.distribution, fault.version) == ("bad", "0.9")
    assert reason in fault.reason


def test_two_plugins_with_one_name_are_refused_and_both_are_named(
    site: Any, executor_source: SOURCE
) -> None:
    site.install("aaa", executor_source("http"), version="1.0")
    site.install("intruder", executor_source("http"), version="6.6")
    fault = fault_of(site)
    assert (fault.distribution, fault.version) == ("intruder", "6.6")
    assert "provides the executor 'http', which aaa 1.0 provides too" in fault.reason


def test_code_cannot_override_an_installed_plugin_either(
    site: Any, executor_source: SOURCE
) -> None:
    site.install("aaa", executor_source("http"), version="1.0")
    plugin = types.ModuleType("mine")

    @hookimpl
    def dsched_executors() -> list[Any]:
        return [ExecutorProvider(name="http", protocol="http", open=lambda options: None)]

    plugin.dsched_executors = dsched_executors
    fault = fault_of(site, extra_plugins=[plugin])
    assert (fault.distribution, fault.version) == ("mine", "(given in code)")
    assert "which aaa 1.0 provides too" in fault.reason


def test_one_name_in_two_kinds_is_allowed(site: Any, executor_source: SOURCE) -> None:
    site.install("one", executor_source("redis"))
    site.install(
        "two",
        "@hookimpl\ndef dsched_stores():\n    return [StoreProvider(name='redis', open=opened)]",
    )
    catalogue = site.load()
    assert ["redis"] == list(catalogue.executors) == list(catalogue.stores)


def test_all_faults_are_reported_together(site: Any) -> None:
    site.install("bad-one", "import nope_one")
    site.install("bad-two", "import nope_two")
    with pytest.raises(PluginError) as caught:
        site.load()
    assert [fault.distribution for fault in caught.value.faults] == ["bad-one", "bad-two"]
    assert "nope_one" in str(caught.value)
    assert "nope_two" in str(caught.value)


def test_with_an_allow_list_nothing_else_is_imported(site: Any, executor_source: SOURCE) -> None:
    site.install("Wanted_Plugin", executor_source())
    site.install("foreign", "raise RuntimeError('must not be imported')")
    catalogue = site.load(enabled=["wanted.plugin"])
    assert list(catalogue.executors) == ["http"]
    assert "wanted_plugin" in sys.modules
    assert "foreign" not in sys.modules


def test_without_an_allow_list_the_foreign_plugin_is_imported(site: Any) -> None:
    site.install("foreign", "raise RuntimeError('is imported')")
    assert "RuntimeError: is imported" in fault_of(site).reason


def test_an_allow_list_that_names_what_is_not_there_is_a_fault(
    site: Any, executor_source: SOURCE
) -> None:
    site.install("wanted", executor_source())
    fault = fault_of(site, enabled=["wanted", "wantd"])
    assert (fault.distribution, fault.version) == ("wantd", "(not installed)")
    assert "plugins.enabled names it" in fault.reason
    assert "those that have: wanted" in fault.reason


@pytest.mark.parametrize("name", ["foreign", "Foreign", "main-entry"])
def test_a_distribution_or_entry_point_can_be_disabled_and_is_not_imported(
    name: str, site: Any, executor_source: SOURCE
) -> None:
    site.install("good", executor_source())
    site.install("foreign", "raise RuntimeError('must not be imported')", entry="main-entry")
    catalogue = site.load(disabled=[name])
    assert list(catalogue.executors) == ["http"]
    assert "foreign" not in sys.modules
    assert catalogue.warnings == ()


def test_a_provider_can_be_disabled_by_its_name(site: Any) -> None:
    site.install("everything", EVERY_KIND)
    catalogue = site.load(disabled=["statsd"])
    assert {} == dict(catalogue.observers) == dict(catalogue.services)
    assert list(catalogue.executors) == ["wasm"]


def test_disabling_the_first_of_two_lets_the_second_have_the_name(
    site: Any, executor_source: SOURCE
) -> None:
    site.install("aaa", executor_source("http"))
    site.install("bbb", executor_source("http"))
    assert site.load(disabled=["aaa"]).executors["http"].distribution == "bbb"


def test_disabling_what_is_not_there_is_a_warning(site: Any, executor_source: SOURCE) -> None:
    site.install("good", executor_source())
    (warning,) = site.load(disabled=["goood"]).warnings
    assert warning == ("plugins.disabled names 'goood', but no installed plugin is called that")


def test_of_two_copies_of_a_distribution_the_first_on_the_path_counts(
    site: Any, executor_source: SOURCE, tmp_path: Any
) -> None:
    site.install("twice", executor_source("http"), version="2.0")
    second = tmp_path / "later"
    second.mkdir()
    type(site)(second).install("twice", executor_source("http"), version="1.0")
    catalogue = load_catalogue(path=[str(tmp_path), str(second)])
    assert catalogue.executors["http"].version == "2.0"


def test_a_type_given_alone_chooses_the_executor_that_speaks_it(
    site: Any, executor_source: SOURCE
) -> None:
    site.install("one", executor_source("grpc", "rpc"))
    site.install("two", executor_source("http", "http"))
    site.install("three", executor_source("http3", "http"))
    catalogue = site.load()
    assert catalogue.executor_for_type("rpc").provider.name == "grpc"
    assert catalogue.executor_for_type("http").provider.name == "http"
    with pytest.raises(NotInstalledError, match="runs type 'mq'; installed types: http, rpc"):
        catalogue.executor_for_type("mq")


def test_a_type_that_several_speak_and_none_is_named_like_must_be_settled(
    site: Any, executor_source: SOURCE
) -> None:
    site.install("one", executor_source("kafka", "mq"))
    site.install("two", executor_source("amqp", "mq"))
    with pytest.raises(NotInstalledError, match="several executors run type 'mq': amqp, kafka"):
        site.load().executor_for_type("mq")
