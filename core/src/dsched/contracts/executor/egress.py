"""Which addresses a remote executor may connect to: public ones, and what the operator allows.

The rule is judged on the address really connected to, never on the name alone: a name may resolve
to anything, and to something else the next time (DNS rebinding).
"""

import asyncio
import json
import re
import socket
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import TypeAlias

import attrs

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

MAX_ALLOW_ENTRIES = 1000
_SHOWN_ENTRIES = 8

_LABEL = r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)"
_HOST_NAME = re.compile(rf"\A(?:{_LABEL}\.)*{_LABEL}\Z")
_NUMERIC_LABEL = re.compile(r"\A(?:[0-9]+|0[xX][0-9A-Fa-f]*)\Z")

# Ordered: the first network that contains an address names the reason, so the special case comes
# before the range around it.
_REFUSED: tuple[tuple[Network, str], ...] = tuple(
    (ip_network(network), reason)
    for network, reason in (
        ("169.254.169.254/32", "cloud metadata"),
        ("169.254.170.2/32", "cloud metadata"),
        ("169.254.170.23/32", "cloud metadata"),
        ("100.100.100.200/32", "cloud metadata"),
        ("192.0.0.192/32", "cloud metadata"),
        ("168.63.129.16/32", "cloud metadata"),
        ("fd00:ec2::254/128", "cloud metadata"),
        ("fd00:ec2::23/128", "cloud metadata"),
        ("fd20:ce::254/128", "cloud metadata"),
        ("0.0.0.0/8", "unspecified"),
        ("127.0.0.0/8", "loopback"),
        ("10.0.0.0/8", "private"),
        ("172.16.0.0/12", "private"),
        ("192.168.0.0/16", "private"),
        ("169.254.0.0/16", "link-local"),
        ("100.64.0.0/10", "carrier-grade NAT (CGNAT)"),
        ("224.0.0.0/4", "multicast"),
        ("192.0.0.0/24", "reserved"),
        ("192.0.2.0/24", "reserved"),
        ("192.31.196.0/24", "reserved"),
        ("192.52.193.0/24", "reserved"),
        ("192.88.99.0/24", "6to4 relay"),
        ("192.175.48.0/24", "reserved"),
        ("198.18.0.0/15", "reserved"),
        ("198.51.100.0/24", "reserved"),
        ("203.0.113.0/24", "reserved"),
        ("240.0.0.0/4", "reserved"),
        ("::/128", "unspecified"),
        ("::1/128", "loopback"),
        ("::ffff:0:0/96", "IPv4-mapped"),
        ("::/96", "IPv4-compatible"),
        ("64:ff9b::/96", "NAT64"),
        ("64:ff9b:1::/48", "NAT64"),
        ("fe80::/10", "link-local"),
        ("fec0::/10", "private"),
        ("fc00::/7", "private"),
        ("ff00::/8", "multicast"),
        ("2001::/32", "Teredo"),
        ("2002::/16", "6to4"),
        ("2001::/23", "reserved"),
        ("2001:db8::/32", "reserved"),
        ("2620:4f:8000::/48", "reserved"),
        ("3fff::/20", "reserved"),
    )
)
_GLOBAL_V6 = IPv6Network("2000::/3")


class EgressRefusedError(Exception):
    """A connection was refused by the policy; the message says why and how to allow it.

    Never an `OSError`: a refusal is no connection error, and must not be retried like one.
    """

    def __init__(self, message: str, *, address: str, host: str, reason: str) -> None:
        super().__init__(message)
        self.address = address
        self.host = host
        self.reason = reason


class InvalidAllowEntryError(ValueError):
    """An entry of an allow list that is no host name, address or network."""


def refusal_reason(address: Address) -> str | None:
    """Why this address is refused unless it is allowed, in a word or two; None for a public one."""
    for network, reason in _REFUSED:
        if address.version == network.version and address in network:
            return reason
    if isinstance(address, IPv6Address) and address not in _GLOBAL_V6:
        return "reserved"
    return None


def normal_host(host: str) -> str:
    """A host as it is compared: lower case, without brackets or the dot at the end."""
    return host.strip("[]").rstrip(".").lower()


def is_host_name(host: str) -> bool:
    """Whether a host has the form of a name (RFC 1123, and ``_``); a dot at its end is allowed."""
    name = host.removesuffix(".")
    return len(name) <= 253 and _HOST_NAME.match(name) is not None


def is_numeric_host(host: str) -> bool:
    """Whether a host's last label is a number, which makes all of it an IPv4 address.

    Resolvers read ``2130706433``, ``0x7f.1`` and ``0177.0.0.1`` as 127.0.0.1. So parsers disagree
    about a host that is numeric and no `literal_address`: refuse it.
    """
    return _NUMERIC_LABEL.match(normal_host(host).rpartition(".")[2]) is not None


def literal_address(host: str) -> Address | None:
    """The address that a host *is*, if it is one in its canonical form; else None."""
    try:
        return ip_address(normal_host(host))
    except ValueError:
        return None


@attrs.frozen
class _Allowed:
    """An allow list, read: exact names, name suffixes (with their leading dot), networks."""

    names: frozenset[str] = frozenset()
    suffixes: tuple[str, ...] = ()
    networks: tuple[Network, ...] = ()

    def has_name(self, host: str) -> bool:
        return host in self.names or host.endswith(self.suffixes)

    def has_address(self, address: Address) -> bool:
        return any(
            address.version == network.version and address in network for network in self.networks
        )


def _entry_problem(entry: object, key: str) -> str | None:
    if not isinstance(entry, str) or not entry:
        return f"{key}: {entry!r} is not text; quote the entry"
    try:
        ip_network(entry)
    except ValueError:
        pass
    else:
        return None
    if "/" in entry and "://" not in entry:
        try:
            loose = ip_network(entry, strict=False)
        except ValueError:
            return f"{key}: {entry!r} is not a network; write one such as 10.1.0.0/16 or fd00::/8"
        return f"{key}: {entry!r} has bits set behind the prefix; write {loose}"
    name = normal_host(entry.removeprefix("*."))
    if "*" in name:
        return f"{key}: {entry!r}: a wildcard stands only at the start, as in *.svc.local"
    if not is_host_name(name):
        return (
            f"{key}: {entry!r} is not a host name, an address or a network; write it without "
            'scheme, port or path, such as "api.internal", "*.svc.local" or "10.1.0.0/16"'
        )
    if is_numeric_host(name):
        return f"{key}: {entry!r} is not an address; write four decimal numbers, as in 10.1.2.3"
    return None


def _read(allow: Sequence[str]) -> _Allowed:
    names, suffixes, networks = set(), [], []
    for entry in allow:
        try:
            networks.append(ip_network(entry))
        except ValueError:
            if entry.startswith("*."):
                suffixes.append("." + normal_host(entry[2:]))
            else:
                names.add(normal_host(entry))
    return _Allowed(frozenset(names), tuple(suffixes), tuple(networks))


def _as_tuple(allow: Sequence[str]) -> tuple[str, ...]:
    # A lone string is a sequence of characters: keep it whole, for one clear error.
    return (allow,) if isinstance(allow, str) else tuple(allow)


@attrs.frozen
class EgressPolicy:
    """Public addresses, and those that ``allow`` names: host names, ``*.suffix``, IPs, CIDRs.

    A host name allows whatever it resolves to; ``*.svc.local`` any name below ``svc.local``, not
    itself. ``key`` is the configuration key that refusals print (``executors.http.allow``).
    Construction raises `InvalidAllowEntryError` naming the first bad entry.
    """

    allow: Sequence[str] = attrs.field(converter=_as_tuple)
    key: str
    _allowed: _Allowed = attrs.field(init=False, eq=False, repr=False)

    def __attrs_post_init__(self) -> None:
        """Refuse what cannot be meant."""
        if len(self.allow) > MAX_ALLOW_ENTRIES:
            raise InvalidAllowEntryError(f"{self.key}: at most {MAX_ALLOW_ENTRIES} entries")
        for entry in self.allow:
            problem = _entry_problem(entry, self.key)
            if problem is not None:
                raise InvalidAllowEntryError(problem)
        object.__setattr__(self, "_allowed", _read(self.allow))

    def check_address(self, ip: str, host: str) -> None:
        """Raise `EgressRefusedError` unless ``ip``, to which ``host`` resolved, may be called.

        ``ip`` without brackets; a scope (``%eth0``) is ignored. Text that is no address is refused.
        """
        name = normal_host(host)
        try:
            address = ip_address(ip.partition("%")[0])
        except ValueError:
            raise self._refusal(ip, name, "no IP address in canonical form") from None
        reason = refusal_reason(address)
        if reason is None or self.lists(ip, host):
            return
        article = "an" if reason[0] in "aeiouI" else "a"
        raise self._refusal(str(address), name, f"{article} {reason} address")

    def lists(self, ip: str, host: str) -> bool:
        """Whether ``allow`` names ``ip``, or ``host`` which resolved to it, public or not.

        For rules that exempt a target only if the operator lists it (such as plain text to a public
        address). Whether it may be called at all, `check_address` decides.
        """
        try:
            address = ip_address(ip.partition("%")[0])
        except ValueError:
            return False
        return self._allowed.has_address(address) or self._allowed.has_name(normal_host(host))

    def _refusal(self, ip: str, name: str, reason: str) -> EgressRefusedError:
        entry = ip if literal_address(name) is not None or not name else name
        where = f"{name!r} at {ip}" if name and name != ip else ip
        return EgressRefusedError(
            f"refused to connect to {where}: it is {reason}. If tasks may call it, "
            f"configure: {self._line(entry)}",
            address=ip,
            host=name,
            reason=reason,
        )

    def _line(self, entry: str) -> str:
        """The line of YAML that allows ``entry`` as well as what is allowed already."""
        if len(self.allow) > _SHOWN_ENTRIES:
            return f"{self.key}: add {json.dumps(entry)} to its {len(self.allow)} entries"
        line = json.dumps([*self.allow, entry])
        parts = self.key.split(".")
        for part in reversed(parts[1:]):
            line = f"{{{part}: {line}}}"
        return f"{parts[0]}: {line}"


@attrs.frozen
class ResolvedAddress:
    """An address that passed the policy: ``ip`` is numeric, so connecting resolves nothing."""

    ip: str
    port: int
    family: int

    @property
    def target(self) -> str:
        """``ip:port``, with brackets around an IPv6 address."""
        return f"[{self.ip}]:{self.port}" if ":" in self.ip else f"{self.ip}:{self.port}"


Lookup: TypeAlias = Callable[[str, int], Awaitable[Sequence[tuple[int, str]]]]


async def system_lookup(host: str, port: int) -> Sequence[tuple[int, str]]:
    """Ask the system's resolver: (family, numeric ip) pairs in its order of preference."""
    infos = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys((int(info[0]), str(info[4][0])) for info in infos))


async def resolve_checked(
    policy: EgressPolicy, host: str, port: int, *, lookup: Lookup = system_lookup
) -> list[ResolvedAddress]:
    """Resolve ``host`` once and check every address it has; at least one is returned.

    Raises `EgressRefusedError` if any of them is refused: a name that answers with a public and a
    private address is an attack, or a mistake. Raises `OSError` (`socket.gaierror`) if the name
    cannot be resolved. Connect to the addresses returned, never to the name again. The caller
    bounds the time with its own deadline.
    """
    literal = literal_address(host)
    if literal is not None:
        policy.check_address(str(literal), host)
        family = socket.AF_INET if literal.version == 4 else socket.AF_INET6
        return [ResolvedAddress(str(literal), port, int(family))]
    found = await lookup(host, port)
    if not found:
        raise socket.gaierror(socket.EAI_NONAME, f"{host!r} has no address")
    for _, ip in found:
        policy.check_address(ip, host)
    return [ResolvedAddress(ip, port, family) for family, ip in found]
