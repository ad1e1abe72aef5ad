"""The egress policy: which addresses are public, and what an allow list changes."""

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsched.contracts.executor.egress import (
    EgressPolicy,
    EgressRefusedError,
    InvalidAllowEntryError,
    is_host_name,
    is_numeric_host,
    refusal_reason,
    resolve_checked,
)

KEY = "executors.http.allow"

REFUSED = [
    ("0.0.0.0", "unspecified"),
    ("0.1.2.3", "unspecified"),
    ("127.0.0.1", "loopback"),
    ("127.255.255.254", "loopback"),
    ("10.0.0.1", "private"),
    ("172.16.0.1", "private"),
    ("172.31.255.255", "private"),
    ("192.168.1.1", "private"),
    ("169.254.1.1", "link-local"),
    ("169.254.169.254", "metadata"),
    ("169.254.170.2", "metadata"),
    ("100.100.100.200", "metadata"),
    ("168.63.129.16", "metadata"),
    ("192.0.0.192", "metadata"),
    ("100.64.0.1", "CGNAT"),
    ("100.127.255.255", "CGNAT"),
    ("224.0.0.1", "multicast"),
    ("239.255.255.255", "multicast"),
    ("240.0.0.1", "reserved"),
    ("255.255.255.255", "reserved"),
    ("192.0.0.8", "reserved"),
    ("192.0.2.1", "reserved"),
    ("198.18.0.1", "reserved"),
    ("198.51.100.7", "reserved"),
    ("203.0.113.9", "reserved"),
    ("192.88.99.1", "6to4"),
    ("::", "unspecified"),
    ("::1", "loopback"),
    ("::127.0.0.1", "IPv4-compatible"),
    ("::ffff:127.0.0.1", "IPv4-mapped"),
    ("::ffff:8.8.8.8", "IPv4-mapped"),
    ("64:ff9b::7f00:1", "NAT64"),
    ("64:ff9b:1::1", "NAT64"),
    ("2001:0:4136:e378::1", "Teredo"),
    ("2002:7f00:1::1", "6to4"),
    ("fe80::1", "link-local"),
    ("fe80::1%eth0", "link-local"),
    ("fec0::1", "private"),
    ("fc00::1", "private"),
    ("fd12:3456::1", "private"),
    ("fd00:ec2::254", "metadata"),
    ("fd20:ce::254", "metadata"),
    ("ff02::1", "multicast"),
    ("2001:db8::1", "reserved"),
    ("3fff::1", "reserved"),
    ("100::1", "reserved"),
    ("5f00::1", "reserved"),
    ("4000::1", "reserved"),
    ("::ffff:0:127.0.0.1", "reserved"),
    ("2130706433", "canonical"),
    ("0x7f.1", "canonical"),
    ("127.1", "canonical"),
    ("0177.0.0.1", "canonical"),
    ("not an address", "canonical"),
    ("", "canonical"),
]
PUBLIC = [
    *("8.8.8.8", "1.1.1.1", "93.184.216.34", "172.15.255.255", "172.32.0.0", "100.63.255.255"),
    *("100.128.0.0", "169.253.255.255", "223.255.255.255", "126.255.255.255", "128.0.0.1"),
    *("2606:4700::1111", "2a00:1450::1", "2001:4860:4860::8888"),
]


@pytest.mark.parametrize(("ip", "reason"), REFUSED)
def test_an_address_that_is_not_public_is_refused_and_says_why(ip: str, reason: str) -> None:
    with pytest.raises(EgressRefusedError, match=reason):
        EgressPolicy([], KEY).check_address(ip, "target.example")


@pytest.mark.parametrize("ip", PUBLIC)
def test_a_public_address_is_let_through(ip: str) -> None:
    EgressPolicy([], KEY).check_address(ip, "target.example")


def test_the_refusal_prints_the_line_to_add_which_then_allows_it() -> None:
    with pytest.raises(EgressRefusedError) as refusal:
        EgressPolicy(["10.0.0.0/8"], KEY).check_address("127.0.0.1", "localhost")

    line = 'executors: {http: {allow: ["10.0.0.0/8", "localhost"]}}'
    assert str(refusal.value).endswith(line)
    assert "loopback" in str(refusal.value)
    EgressPolicy(["10.0.0.0/8", "localhost"], KEY).check_address("127.0.0.1", "localhost")


@pytest.mark.parametrize(("ip", "_"), [case for case in REFUSED if case[1] != "canonical"])
def test_the_entry_a_refusal_suggests_for_a_literal_allows_that_literal(ip: str, _: str) -> None:
    with pytest.raises(EgressRefusedError) as refusal:
        EgressPolicy([], KEY).check_address(ip, ip)
    EgressPolicy([refusal.value.address], KEY).check_address(ip, ip)


def test_a_long_allow_list_is_not_printed_whole() -> None:
    policy = EgressPolicy([f"10.0.{number}.1" for number in range(50)], KEY)

    with pytest.raises(EgressRefusedError, match=r'add "::1" to its 50 entries'):
        policy.check_address("::1", "::1")


@pytest.mark.parametrize(
    ("entry", "ip", "host"),
    [
        ("127.0.0.0/8", "127.9.9.9", "anything"),
        ("127.0.0.1", "127.0.0.1", "anything"),
        ("::1", "::1", "localhost"),
        ("fd00::/8", "fd00::5", "db"),
        ("localhost", "127.0.0.1", "LOCALHOST."),
        ("LocalHost.", "::1", "localhost"),
        ("*.svc.local", "10.0.0.1", "a.b.svc.local"),
        ("my_service", "10.0.0.1", "my_service"),
        ("64:ff9b::/96", "64:ff9b::808:808", "v6only.example"),
    ],
)
def test_an_allow_entry_lets_its_addresses_and_names_through(
    entry: str, ip: str, host: str
) -> None:
    EgressPolicy([entry], KEY).check_address(ip, host)


@pytest.mark.parametrize(
    ("entry", "ip", "host"),
    [
        ("127.0.0.1", "127.0.0.2", "localhost"),
        ("127.0.0.0/8", "::ffff:127.0.0.1", "localhost"),
        ("127.0.0.0/8", "::1", "localhost"),
        ("localhost", "127.0.0.1", "localhost.evil.example"),
        ("localhost", "127.0.0.1", "evil-localhost"),
        ("*.svc.local", "10.0.0.1", "svc.local"),
        ("*.svc.local", "10.0.0.1", "evilsvc.local"),
        ("*.svc.local", "10.0.0.1", "svc.local.evil.example"),
        ("0.0.0.0/0", "::1", "localhost"),
    ],
)
def test_an_allow_entry_lets_nothing_else_through(entry: str, ip: str, host: str) -> None:
    with pytest.raises(EgressRefusedError):
        EgressPolicy([entry], KEY).check_address(ip, host)


@pytest.mark.parametrize(
    ("entry", "hint"),
    [
        ("http://x", "without scheme"),
        ("host:80", "without scheme"),
        ("a/b", "not a network"),
        ("10.0.0.1/8", "write 10.0.0.0/8"),
        ("10.0.0.0/33", "not a network"),
        ("10.0.0", "four decimal numbers"),
        ("2130706433", "four decimal numbers"),
        ("0x7f000001", "four decimal numbers"),
        ("*", "not a host name|only at the start"),
        ("a.*.b", "only at the start"),
        ("*.*.b", "only at the start"),
        ("", "quote the entry"),
        ("-a", "not a host name"),
        ("a b", "not a host name"),
        ("exämple", "not a host name"),
        ("a\n", "not a host name"),
        ("[::1]", "not a host name"),
        ("x" * 64, "not a host name"),
        (127, "quote the entry"),
        (None, "quote the entry"),
    ],
)
def test_a_bad_allow_entry_is_refused_and_named(entry: object, hint: str) -> None:
    with pytest.raises(InvalidAllowEntryError, match=hint) as error:
        EgressPolicy(["ok.example", entry], KEY)  # type: ignore[list-item]

    assert KEY in str(error.value)
    assert repr(entry) in str(error.value)


def test_a_lone_string_is_one_entry_not_a_list_of_letters() -> None:
    EgressPolicy("127.0.0.0/8", KEY).check_address("127.0.0.1", "localhost")


def test_more_entries_than_the_bound_are_refused() -> None:
    with pytest.raises(InvalidAllowEntryError, match="at most 1000"):
        EgressPolicy(["a"] * 1001, KEY)


@given(st.ip_addresses(v=6))
def test_only_global_unicast_is_ever_public_in_ipv6(address) -> None:  # type: ignore[no-untyped-def]
    assert refusal_reason(address) is not None or int(address) >> 125 == 1


@given(st.ip_addresses(v=4))
def test_nothing_that_python_calls_not_global_is_public_in_ipv4(address) -> None:  # type: ignore[no-untyped-def]
    assert address.is_global or refusal_reason(address) is not None


async def test_every_address_of_a_name_is_checked_not_only_the_first() -> None:
    async def lookup(host: str, port: int) -> list[tuple[int, str]]:
        return [(socket.AF_INET, "93.184.216.34"), (socket.AF_INET, "127.0.0.1")]

    with pytest.raises(EgressRefusedError, match="loopback"):
        await resolve_checked(EgressPolicy([], KEY), "two.example", 80, lookup=lookup)


async def test_a_name_is_resolved_once_and_its_addresses_are_returned() -> None:
    asked = []

    async def lookup(host: str, port: int) -> list[tuple[int, str]]:
        asked.append(host)
        return [(socket.AF_INET6, "2606:4700::1111"), (socket.AF_INET, "1.1.1.1")]

    found = await resolve_checked(EgressPolicy([], KEY), "one.example", 443, lookup=lookup)

    assert asked == ["one.example"]
    assert [address.target for address in found] == ["[2606:4700::1111]:443", "1.1.1.1:443"]


async def test_a_literal_is_checked_without_asking_the_resolver() -> None:
    async def lookup(host: str, port: int) -> list[tuple[int, str]]:
        raise AssertionError("asked")

    policy = EgressPolicy(["::1"], KEY)
    assert (await resolve_checked(policy, "[::1]", 80, lookup=lookup))[0].target == "[::1]:80"
    with pytest.raises(EgressRefusedError):
        await resolve_checked(policy, "127.0.0.1", 80, lookup=lookup)


@pytest.mark.parametrize("host", ["localhost", "2130706433", "0x7f000001", "127.1", "0"])
async def test_whatever_the_system_makes_of_a_host_is_what_gets_checked(host: str) -> None:
    with pytest.raises((EgressRefusedError, socket.gaierror)):
        await resolve_checked(EgressPolicy([], KEY), host, 80)


async def test_a_name_without_addresses_is_an_os_error() -> None:
    async def lookup(host: str, port: int) -> list[tuple[int, str]]:
        return []

    with pytest.raises(socket.gaierror):
        await resolve_checked(EgressPolicy([], KEY), "none.example", 80, lookup=lookup)


@pytest.mark.parametrize(
    ("ip", "host", "listed"),
    [
        ("8.8.8.8", "api.example.com", True),
        ("8.8.8.8", "API.example.com.", True),
        ("8.8.8.8", "a.svc.local", True),
        ("8.8.8.8", "svc.local", False),
        ("8.8.8.8", "example.com", False),
        ("10.1.2.3", "anything", True),
        ("10.1.2.3", "10.1.2.3", True),
        ("fd00::1%eth0", "[fd00::1]", True),
        ("::ffff:10.1.2.3", "anything", False),
        ("127.0.0.1", "localhost", False),
        ("nonsense", "api.example.com", False),
    ],
)
def test_a_target_is_listed_only_if_the_operator_named_it_public_or_not(ip, host, listed):
    policy = EgressPolicy(["api.example.com", "*.svc.local", "10.0.0.0/8", "fd00::/8"], KEY)

    assert policy.lists(ip, host) is listed


@pytest.mark.parametrize("host", ["a", "a.b.", "A-1._b", "a" * 63, ".".join(["a" * 49] * 5)])
def test_what_has_the_form_of_a_name_is_one(host):
    assert is_host_name(host)


@pytest.mark.parametrize(
    "host", ["", ".", "a..", "a..b", "-a", "a-", "a" * 64, "a b", "a\n", ".".join(["a" * 63] * 4)]
)
def test_what_has_not_the_form_of_a_name_is_none(host):
    assert not is_host_name(host)


@pytest.mark.parametrize(
    ("host", "numeric"),
    [
        *((host, True) for host in ("2130706433", "0x7f.1", "0177.0.0.1", "127.1.", "0X", "a.0x1")),
        *((host, False) for host in ("a", "1a", "1.a", "0xg", "a1.")),
    ],
)
def test_a_last_label_that_is_a_number_makes_a_host_numeric(host, numeric):
    assert is_numeric_host(host) is numeric
