"""The plugin is installed, cheap to list, and its options refuse what cannot be meant."""

import re
import subprocess
import sys
from datetime import timedelta
from importlib.metadata import entry_points
from pathlib import Path

import attrs
import pytest
import yaml

from dsched.config.structuring import structure
from dsched_executor_mq import failures, plugin
from dsched_executor_mq.address import Kind, parse_address
from dsched_executor_mq.options import BrokerOptions, MqOptions, TlsOptions
from dsched_executor_mq.payload import KEYS, check_payload

README = (Path(__file__).parents[1] / "README.md").read_text()
CLIENTS = ("aio_pika", "aiormq", "nats", "aiokafka", "redis")


def broker(kind="nats", **more):
    return BrokerOptions(**{"kind": Kind(kind), "url": f"{kind}://mq.example.com", **more})


def test_the_plugin_is_installed_under_its_entry_point():
    (found,) = entry_points(group="dsched", name="mq")
    (provider,) = found.load().dsched_executors()

    assert found.load() is plugin
    assert (provider.name, provider.protocol, provider.options) == ("mq", "mq", MqOptions)
    assert provider.check_payload({"broker": "a", "topic": "b"}) == []


def test_neither_listing_nor_opening_imports_any_client():
    code = (
        "import asyncio, sys, dsched_executor_mq.plugin as plugin\n"
        "(provider,) = plugin.dsched_executors()\n"
        "async def main():\n"
        "    async with provider.open(provider.options()): pass\n"
        "asyncio.run(main())\n"
        f"print(sorted({set(CLIENTS)!r} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    ("kind", "url", "hosts", "secure", "path"),
    [
        ("amqp", "amqp://mq.example.com", (("mq.example.com", 5672),), False, "/"),
        ("amqp", "amqps://MQ.example.com/a%2Fb", (("mq.example.com", 5671),), True, "a/b"),
        ("nats", "nats://a:1,[2001:db8::1]:2", (("a", 1), ("2001:db8::1", 2)), False, ""),
        ("nats", "tls://10.0.0.1", (("10.0.0.1", 4222),), True, ""),
        ("kafka", "kafka+tls://a,b:9", (("a", 9093), ("b", 9)), True, ""),
        ("redis", "redis://a/3", (("a", 6379),), False, "3"),
    ],
)
def test_an_address_is_read(kind, url, hosts, secure, path):
    found = parse_address(Kind(kind), url)

    assert (found.hosts, found.secure, found.path) == (hosts, secure, path)


@pytest.mark.parametrize(
    ("kind", "more", "problem"),
    [
        ("nats", {"url": "http://a"}, "url must be nats://HOST:PORT, or tls:// for TLS"),
        ("nats", {"url": "nats://user:hunter2@a"}, "url carries a user name or password"),
        ("nats", {"url": "nats://a:70000"}, "has the port 70000"),
        ("nats", {"url": "nats://0x7f.1"}, "which is neither a host name nor an address"),
        ("nats", {"url": "nats://"}, "neither a host name nor an address"),
        ("nats", {"url": "nats://a/b"}, "has the path 'b', which means nothing to nats"),
        ("amqp", {"url": "amqp://a,b"}, "names too many hosts"),
        ("redis", {"url": "redis://a/x"}, "must end in the number of a database"),
        ("redis", {}, "targets must name the streams"),
        ("nats", {"targets": [""]}, "targets must be at most 1000 patterns, none of them empty"),
        ("nats", {"tls": TlsOptions(ca_file="ca.pem")}, "tls means nothing without TLS"),
        ("nats", {"password": "x"}, "username is missing"),
        ("nats", {"username": "a", "password": "secret://vault/x"}, "password has a secret"),
        ("kafka", {"sasl_mechanism": "GSSAPI"}, "sasl_mechanism must be one of PLAIN"),
        ("nats", {"connect_timeout": timedelta(0)}, "connect_timeout must be 100ms to 10m"),
        ("nats", {"confirm_timeout": timedelta(hours=1)}, "confirm_timeout must be"),
        ("nats", {"max_in_flight": 0}, "max_in_flight must be 1 to 10000, got 0"),
    ],
)
def test_a_bad_option_of_a_broker_is_refused_by_name(kind, more, problem):
    with pytest.raises(ValueError, match=re.escape(problem)) as caught:
        broker(kind, **more)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"allow": ["http://x"]}, r"executors\.mq\.allow: 'http://x'"),
        ({"secret_env": ["A-B"]}, "secret_env: 'A-B'"),
        ({"max_message_bytes": 10}, "max_message_bytes must be 1024 to"),
        ({"max_result_bytes": True}, "max_result_bytes must be"),
        ({"brokers": {"Or ders": broker()}}, "brokers: 'Or ders' is not a name"),
        ({"brokers": {f"b{n}": broker() for n in range(101)}}, "brokers must be at most 100"),
    ],
)
def test_a_bad_option_is_refused_by_name(options, problem):
    with pytest.raises(ValueError, match=problem):
        MqOptions(**options)


def test_half_a_certificate_is_refused():
    with pytest.raises(ValueError, match="belong together"):
        TlsOptions(cert_file="a.pem")


def test_no_password_is_shown():
    assert "hunter2" not in repr(broker(username="a", password="hunter2"))


def test_the_examples_of_the_readme_are_valid_and_fit_together():
    settings, tasks = (
        yaml.safe_load(text) for text in re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    )
    options = structure(MqOptions, settings["executors"]["mq"])
    payload = tasks["tasks"][0]["payload"]

    assert check_payload(payload) == []
    assert options.brokers[payload["broker"]].kind is Kind.REDIS


def test_the_readme_names_every_option_key_and_code():
    words = {
        field.name
        for kind in (MqOptions, BrokerOptions, TlsOptions)
        for field in attrs.fields(kind)
    }
    made = (
        make("x")
        for name, make in vars(failures).items()
        if callable(make) and getattr(make, "__module__", "") == failures.__name__
    )
    words |= {*KEYS, *(failure.code for failure in made)}
    words |= {"secret", "answered", "published", "replied"}

    assert [word for word in sorted(words) if f"`{word}`" not in README] == []
