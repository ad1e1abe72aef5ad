"""The plugin is installed, cheap to list, and its options refuse what cannot be meant."""

import subprocess
import sys
from datetime import timedelta
from importlib.metadata import entry_points
from pathlib import Path

import attrs
import pluggy
import pytest

from dsched.contracts import Executor, hookspecs
from dsched_executor_http import plugin
from dsched_executor_http.options import HttpOptions
from dsched_executor_http.payload import KEYS, Tls


def test_the_plugin_is_installed_under_its_entry_point() -> None:
    (found,) = entry_points(group="dsched", name="http")

    assert found.load() is plugin


async def test_the_provider_opens_an_executor() -> None:
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    manager.register(plugin)
    manager.check_pending()
    ((provider,),) = manager.hook.dsched_executors()

    assert (provider.name, provider.protocol, provider.options) == ("http", "http", HttpOptions)
    assert provider.check_payload({"url": "http://example.com"}) == []
    async with provider.open(provider.options()) as executor:
        assert isinstance(executor, Executor)


def test_listing_the_plugin_imports_no_http_client() -> None:
    code = (
        "import sys, dsched_executor_http.plugin as plugin; list(plugin.dsched_executors()); "
        "print(sorted({'aiohttp', 'yarl', 'multidict'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"allow": ["http://x"]}, r"executors\.http\.allow: 'http://x'"),
        ({"allow": ["10.0.0.1/8"]}, r"write 10\.0\.0\.0/8"),
        ({"ports": [0]}, "ports must be 1 to 65535, got 0"),
        ({"ports": ["80"]}, "ports must be"),
        ({"ports": [True]}, "ports must be"),
        ({"max_response_bytes": 0}, "max_response_bytes must be"),
        ({"max_response_bytes": 10**9}, "max_response_bytes must be"),
        ({"max_result_bytes": 10**6}, "max_result_bytes must be"),
        ({"max_connections": 0}, "max_connections must be"),
        ({"connect_timeout": timedelta(0)}, "connect_timeout must be"),
        ({"secret_env": ["A-B"]}, "secret_env: 'A-B'"),
        ({"secret_env": ["*"]}, r"secret_env: '\*'"),
        ({"secret_env": ["*_KEY"]}, r"secret_env: '\*_KEY'"),
    ],
)
def test_bad_options_are_refused_by_name(options, problem) -> None:
    with pytest.raises(ValueError, match=problem):
        HttpOptions(**options)


def test_the_readme_names_every_option_key_and_code() -> None:
    readme = (Path(__file__).parents[1] / "README.md").read_text()
    words = {field.name for kind in (HttpOptions, Tls) for field in attrs.fields(kind)}
    words |= {*KEYS, "connect", "timeout", "tls", "response", "too_large", "refused"}
    words |= {"redirect", "secret", "payload"}

    assert [word for word in sorted(words) if f"`{word}`" not in readme] == []
