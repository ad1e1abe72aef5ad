"""What a payload may say, and what it is told when it says something else."""

import subprocess
import sys

import pytest

from dsched.contracts import TaskFailed
from dsched_executor_grpc.payload import check_payload, parse_payload
from dsched_executor_grpc.plugin import dsched_executors

GOOD = {"target": "orders.example.com:443", "method": "shop.Orders/Close"}


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"request": {"orderId": "A"}, "metadata": {"Authorization": "Bearer x", "k-bin": "AP8="}},
        {"target": "[2001:db8::1]:443"},
        {"target": "10.0.0.1:50051", "plaintext": True},
        {"tls": {"ca_file": "ca.pem", "cert_file": "c.pem", "key_file": "k.pem"}},
        {"tls": {"enabled": False}, "plaintext": True},
        {"descriptor_set": "shop/v1.binpb"},
        {"descriptor_set": "base64:AAAA"},
        {"metadata": {"authorization": "Bearer secret://env/TOKEN"}},
        {"method": "Orders/Close"},
    ],
)
def test_a_good_payload_has_no_problems(more):
    assert check_payload({**GOOD, **more}) == []


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        (None, "must be a mapping"),
        ("orders", "must be a mapping"),
        ({}, "target:"),
        ({**GOOD, "metod": "x"}, "metod: .*did you mean 'method'"),
        ({**GOOD, "zzz": 1}, "zzz: .*there is descriptor_set"),
        ({**GOOD, "target": "orders.example.com"}, "port"),
        ({**GOOD, "target": "orders.example.com:0"}, "port"),
        ({**GOOD, "target": "orders.example.com:70000"}, "port"),
        ({**GOOD, "target": "https://orders.example.com:443"}, "neither a host name"),
        ({**GOOD, "target": "dns:///orders.example.com:443"}, "neither a host name"),
        ({**GOOD, "target": "unix:/run/x.sock:1"}, "neither a host name"),
        ({**GOOD, "target": "user@orders.example.com:443"}, "neither a host name"),
        ({**GOOD, "target": "::1:443"}, "neither a host name"),
        ({**GOOD, "target": "[fe80::1%eth0]:443"}, "neither a host name"),
        ({**GOOD, "target": "a,b:443"}, "neither a host name"),
        ({**GOOD, "target": "a\n:443"}, "neither a host name"),
        ({**GOOD, "method": "Close"}, "package.Service/Method"),
        ({**GOOD, "method": "/shop.Orders/Close"}, "package.Service/Method"),
        ({**GOOD, "method": "shop.Orders/Close\n"}, "package.Service/Method"),
        ({**GOOD, "plaintext": "yes"}, "plaintext: must be true or false"),
        ({**GOOD, "plaintext": True, "tls": {}}, "contradicts"),
        ({**GOOD, "tls": True}, "tls: must be a mapping"),
        ({**GOOD, "tls": {"cafile": "x"}}, "tls.cafile: .*did you mean 'ca_file'"),
        ({**GOOD, "tls": {"cert_file": "c.pem"}}, "belong together"),
        ({**GOOD, "tls": {"ca_file": "/etc/ca.pem"}}, "tls.ca_file"),
        ({**GOOD, "tls": {"ca_file": "a/../../ca.pem"}}, "tls.ca_file"),
        ({**GOOD, "tls": {"server_name": "a b"}}, "tls.server_name"),
        ({**GOOD, "descriptor_set": "base64:?"}, "not valid base64"),
        ({**GOOD, "descriptor_set": "../x"}, "descriptor_set"),
        ({**GOOD, "descriptor_set": 7}, "descriptor_set"),
        ({**GOOD, "metadata": ["a"]}, "metadata: must be a mapping"),
        ({**GOOD, "metadata": {"grpc-timeout": "1S"}}, "grpc-timeout"),
        ({**GOOD, "metadata": {"X-Dsched-Epoch": "1"}}, "X-Dsched-Epoch"),
        ({**GOOD, "metadata": {"Idempotency-Key": "1"}}, "Idempotency-Key"),
        ({**GOOD, "metadata": {"traceparent": "1"}}, "traceparent"),
        ({**GOOD, "metadata": {":authority": "x"}}, ":authority"),
        ({**GOOD, "metadata": {"a b": "x"}}, "names have"),
        ({**GOOD, "metadata": {"a": "x\r\ny"}}, "printable ASCII"),
        ({**GOOD, "metadata": {"a": "ü"}}, "printable ASCII"),
        ({**GOOD, "metadata": {"a": 7}}, "printable ASCII"),
        ({**GOOD, "metadata": {"a-bin": "?"}}, "base64"),
        ({**GOOD, "metadata": {"a": "x", "A": "y"}}, "given twice"),
        ({**GOOD, "metadata": {f"k{i}": "x" for i in range(65)}}, "at most 64 entries"),
        ({**GOOD, "metadata": {"a": "x" * 9000}}, "8192 bytes"),
        ({**GOOD, "metadata": {"a": "secret://TOKEN"}}, "secret://env/NAME"),
        ({**GOOD, "request": {"a": ["secret://TOKEN"]}}, "secret://env/NAME"),
    ],
)
def test_a_bad_payload_is_refused_for_good_in_a_sentence_naming_the_key(payload, words):
    problems = check_payload(payload)
    with pytest.raises(TaskFailed, match=words) as failed:
        parse_payload(payload)

    assert problems
    assert (failed.value.code, failed.value.retryable) == ("invalid_payload", False)


def test_all_problems_are_told_at_once_and_no_value_of_the_metadata_is_repeated():
    problems = check_payload(
        {"target": 7, "method": 7, "metadata": {"authorization": "canary\x00"}}
    )

    assert [problem.partition(":")[0] for problem in problems] == [
        "target",
        "method",
        "metadata.authorization",
    ]
    assert "canary" not in str(problems)


def test_the_provider_is_named_grpc_and_is_of_type_rpc():
    (provider,) = dsched_executors()

    assert ("grpc", "rpc", check_payload) == (
        provider.name,
        provider.protocol,
        provider.check_payload,
    )


def test_registering_checking_and_opening_imports_no_grpc():
    script = (
        "import asyncio, sys, dsched_executor_grpc.plugin as p\n"
        "provider = p.dsched_executors()[0]\n"
        "provider.check_payload({})\n"
        "async def idle():\n"
        "    async with provider.open(provider.options()):\n"
        "        await asyncio.sleep(0)\n"
        "asyncio.run(idle())\n"
        "bad = [m for m in sys.modules if m.split('.')[0] in ('grpc', 'google', "
        "'grpc_reflection')]\nsys.exit(str(bad) if bad else 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=30)

    assert (done.returncode, done.stderr) == (0, b"")
