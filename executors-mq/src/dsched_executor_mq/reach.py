"""The way to a broker: addresses that were checked, and TLS for the name that was asked for."""

import asyncio
import ssl
from collections.abc import Iterable
from ipaddress import IPv6Address, ip_address
from typing import Any

import attrs

from dsched.contracts.executor.egress import EgressPolicy, EgressRefusedError, resolve_checked
from dsched.contracts.executor.files import FileError, find_file
from dsched_executor_mq.failures import bad_tls, no_connection, refused
from dsched_executor_mq.options import ALLOW_KEY, SECTION, TlsOptions


@attrs.frozen
class Place:
    """One address to connect to. ``ip`` is numeric, so that connecting resolves nothing again."""

    host: str
    ip: str
    port: int

    @property
    def netloc(self) -> str:
        """``ip:port``, with brackets around an IPv6 address."""
        return f"[{self.ip}]:{self.port}" if ":" in self.ip else f"{self.ip}:{self.port}"


class NamedContext(ssl.SSLContext):
    """A client's TLS context for connections to numeric addresses.

    The clients are given addresses that were checked, and would compare the certificate with those.
    It is compared with the name in the settings (or ``server_name``) instead.
    """

    names: dict[str, str]
    server_name: str

    def wrap_bio(  # type: ignore[override] # loops give the streams by position, the rest by name
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        *,
        server_hostname: str | None = None,
        **more: Any,
    ) -> ssl.SSLObject:
        """As in any context, but for the name behind the address."""
        asked = server_hostname or ""
        name = self.server_name or self.names.get(asked, asked)
        return super().wrap_bio(incoming, outgoing, server_hostname=name, **more)


@attrs.frozen(kw_only=True)
class Reach:
    """How the hosts of one broker may be connected to; ``tls`` is None for plain text."""

    policy: EgressPolicy
    tls: NamedContext | None

    async def places(self, hosts: Iterable[tuple[str, int]]) -> list[Place]:
        """The checked addresses of all hosts, in their order.

        Raises `TaskFailed`: ``refused`` for an address that is not allowed, ``connect`` if none of
        the names can be resolved. The caller bounds the time.
        """
        found: list[Place] = []
        unknown: list[str] = []
        for host, port in hosts:
            try:
                addresses = await resolve_checked(self.policy, host, port)
            except EgressRefusedError as error:
                raise refused(str(error)) from None
            except (OSError, UnicodeError) as error:
                unknown.append(f"the name {host!r} cannot be resolved: {reason_of(error)}")
                continue
            found += [Place(host, address.ip, port) for address in addresses]
        if not found:
            raise no_connection("; ".join(unknown))
        for place in found:
            self._admit(place)
        return found

    def _admit(self, place: Place) -> None:
        if self.tls is not None:
            if len(self.tls.names) > 1024:
                self.tls.names.clear()
            self.tls.names[place.ip] = place.host
            return
        if not _is_loopback(place.ip) and not self.policy.lists(place.ip, place.host):
            raise refused(
                f"refused to connect to {place.host}:{place.port} without TLS, because it is not "
                f"on this host; take the scheme with TLS in url, or add {place.host!r} to "
                f"{ALLOW_KEY}"
            )


async def tls_context(options: TlsOptions, directory: str) -> NamedContext:
    """The context of a broker. Raises `TaskFailed`, code ``tls``, naming a file that is bad."""
    return await asyncio.to_thread(_load, options, directory)


def _load(options: TlsOptions, directory: str) -> NamedContext:
    names = [name for name in (options.ca_file, options.cert_file, options.key_file) if name]
    try:
        paths = {
            name: str(find_file(directory, name, option=f"{SECTION}.tls_dir")) for name in names
        }
        context = NamedContext(ssl.PROTOCOL_TLS_CLIENT)
        context.names, context.server_name = {}, options.server_name
        if options.ca_file:
            context.load_verify_locations(paths[options.ca_file])
        else:
            context.load_default_certs()
        if options.cert_file:
            # An empty password instead of a prompt on the terminal for an encrypted key.
            context.load_cert_chain(paths[options.cert_file], paths[options.key_file], password="")
    except FileError as error:
        raise bad_tls(str(error), passing=error.passing) from None
    except (OSError, ssl.SSLError) as error:
        raise bad_tls(
            f"the TLS files {', '.join(names)} in {SECTION}.tls_dir cannot be used: no certificate "
            f"in PEM form, or a key that does not fit ({reason_of(error)})"
        ) from None
    return context


def certificate_problem(error: BaseException | None) -> str | None:
    """Why a certificate was not accepted, if that caused the client's error."""
    seen = 0
    while error is not None and seen < 10:
        if isinstance(error, ssl.SSLCertVerificationError):
            return error.verify_message or "it is not valid"
        error, seen = error.__cause__ or error.__context__, seen + 1
    return None


def reason_of(error: BaseException) -> str:
    """What the system says about an error, in a word or two."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _is_loopback(ip: str) -> bool:
    address = ip_address(ip.partition("%")[0])
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped.is_loopback
    return address.is_loopback
