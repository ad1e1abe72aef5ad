"""Turns a call's target into an endpoint: addresses that were checked, and how to secure them."""

import asyncio
import ipaddress
import socket
from collections.abc import Sequence

import attrs

from dsched.contracts import TaskFailed
from dsched.contracts.executor.egress import (
    EgressPolicy,
    EgressRefusedError,
    ResolvedAddress,
    resolve_checked,
)
from dsched_executor_grpc.files import read_pem
from dsched_executor_grpc.payload import GrpcCall


@attrs.frozen(kw_only=True)
class Endpoint:
    """Where a channel leads and how it is secured: equal endpoints may share a channel.

    ``address`` is in gRPC's own notation and holds numeric addresses only, so that nothing is
    resolved again after the check.
    """

    authority: str
    address: str
    secure: bool
    server_name: str = ""
    ca: bytes = attrs.field(default=b"", repr=False)
    cert: bytes = attrs.field(default=b"", repr=False)
    key: bytes = attrs.field(default=b"", repr=False)


async def find_endpoint(call: GrpcCall, policy: EgressPolicy, tls_dir: str) -> Endpoint:
    """Resolve once, check every address, decide about TLS and read its files.

    The caller bounds the time. Raises `TaskFailed`: a refusal is final, a name that cannot be
    resolved may be tried again.
    """
    addresses = await _checked(call, policy)
    secure = _wants_tls(call, addresses)
    if not secure:
        _check_plaintext(call, policy, addresses)
        return Endpoint(
            authority=call.authority, address=grpc_address(addresses, call.port), secure=False
        )
    ca, cert, key = await asyncio.to_thread(
        lambda: [
            read_pem(tls_dir, name)
            for name in (call.tls.ca_file, call.tls.cert_file, call.tls.key_file)
        ]
    )
    # gRPC calls a server only by the name that is in its certificate.
    name = call.tls.server_name
    return Endpoint(
        authority=f"{name}:{call.port}" if name else call.authority,
        address=grpc_address(addresses, call.port),
        secure=True,
        server_name=name or call.host.rstrip("."),
        ca=ca,
        cert=cert,
        key=key,
    )


async def _checked(call: GrpcCall, policy: EgressPolicy) -> list[ResolvedAddress]:
    try:
        return await resolve_checked(policy, call.host, call.port)
    except EgressRefusedError as error:
        raise TaskFailed(str(error), code="egress_refused", retryable=False) from error
    except (OSError, UnicodeError) as error:
        raise TaskFailed(
            f"the host name {call.host!r} cannot be resolved: {error}", code="unavailable"
        ) from error


def _wants_tls(call: GrpcCall, addresses: Sequence[ResolvedAddress]) -> bool:
    """What the payload says; if it says nothing, TLS for every target but this very host."""
    if call.tls.enabled is not None:
        return call.tls.enabled
    return not (call.plaintext or _is_loopback(addresses))


def _check_plaintext(
    call: GrpcCall, policy: EgressPolicy, addresses: Sequence[ResolvedAddress]
) -> None:
    if _is_loopback(addresses):
        return
    if not call.plaintext:
        raise TaskFailed(
            f"refused to call {call.authority} without TLS, because it is not on this host; remove "
            "`tls.enabled: false`, or set `plaintext: true` and have the operator add "
            f"{call.host!r} to {policy.key}",
            code="tls_required",
            retryable=False,
        )
    if not all(policy.lists(address.ip, call.host) for address in addresses):
        raise TaskFailed(
            f"refused to call {call.authority} with `plaintext: true`: only targets that "
            f"{policy.key} lists may be called without TLS; add {call.host!r} to it, or use TLS",
            code="tls_required",
            retryable=False,
        )


def _is_loopback(addresses: Sequence[ResolvedAddress]) -> bool:
    return all(_unmapped(address.ip).is_loopback for address in addresses)


def _unmapped(ip: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    address = ipaddress.ip_address(ip.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def grpc_address(addresses: Sequence[ResolvedAddress], port: int) -> str:
    """All addresses in the notation of one scheme of gRPC, in the resolver's order.

    A host with addresses of both families is written with IPv6 alone, the IPv4 ones mapped: a
    scheme takes one family only, and the one that comes first may not be the one that listens.
    """
    if all(address.family == socket.AF_INET for address in addresses):
        return "ipv4:" + ",".join(f"{address.ip}:{port}" for address in addresses)
    written = (
        address.ip if address.family == socket.AF_INET6 else f"::ffff:{address.ip}"
        for address in addresses
    )
    return "ipv6:" + ",".join(f"[{ip}]:{port}" for ip in written)
