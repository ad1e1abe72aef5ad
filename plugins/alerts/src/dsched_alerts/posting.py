"""Posts alerts: signed, to an address that may be called, without redirects and proxies."""

import json
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from dsched import __version__
from dsched.contracts.executor.egress import (
    EgressPolicy,
    EgressRefusedError,
    Lookup,
    resolve_checked,
    system_lookup,
)
from dsched.contracts.executor.secrets import Secrets, fill, references
from dsched_alerts.alert import Alert
from dsched_alerts.options import AlertOptions
from dsched_alerts.signing import HEADER, sign
from dsched_alerts.templates import render

_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})


class DeliveryError(Exception):
    """A post that was not taken; ``passing``: it may be, later."""

    def __init__(self, message: str, *, passing: bool) -> None:
        super().__init__(message)
        self.passing = passing


class Poster:
    """Makes one attempt at a time. Open it with `open_poster`."""

    def __init__(self, options: AlertOptions, secret: str, session: aiohttp.ClientSession) -> None:
        self._options = options
        self._secret = secret
        self._session = session
        self.where = urlsplit(options.url).hostname or ""

    async def post(self, alert: Alert) -> None:
        """One attempt, signed now; `DeliveryError` if it was not taken."""
        template = self._options.template
        facts = alert.facts
        content = dict(facts) if template is None else render(template, facts)
        body = json.dumps(content, ensure_ascii=False).encode()
        headers = {
            **self._options.headers,
            "Content-Type": "application/json",
            "User-Agent": f"dsched-alerts/{__version__}",
            "Idempotency-Key": alert.id,
            HEADER: sign(self._secret, body, int(time.time())),
        }
        try:
            async with self._session.post(
                self._options.url, data=body, headers=headers, allow_redirects=False
            ) as response:
                status = response.status
        except EgressRefusedError as error:
            raise DeliveryError(str(error), passing=False) from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            why = str(error) or type(error).__name__
            raise DeliveryError(f"{self.where} did not answer: {why}", passing=True) from error
        if not 200 <= status < 300:
            raise DeliveryError(f"{self.where} answered {status}", passing=status in _PASSING)


class _Resolver(AbstractResolver):
    """Resolves names, refusing a name if any of its addresses is refused."""

    def __init__(self, policy: EgressPolicy, lookup: Lookup) -> None:
        self._policy = policy
        self._lookup = lookup

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The checked addresses of a name."""
        return [
            ResolveResult(
                hostname=host,
                host=address.ip,
                port=port,
                family=address.family,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for address in await resolve_checked(self._policy, host, port, lookup=self._lookup)
            if family in (socket.AF_UNSPEC, address.family)
        ]

    async def close(self) -> None:
        """Nothing is held open."""


@asynccontextmanager
async def open_poster(
    options: AlertOptions, *, lookup: Lookup = system_lookup
) -> AsyncIterator[Poster]:
    """A poster with a session of its own. Raises `SecretError` if the secret cannot be read."""
    policy, host = options.policy, urlsplit(options.url).hostname or ""

    def checked_socket(addr_info: Any) -> socket.socket:
        family, kind, protocol, _, address = addr_info
        # The last check; a literal address cannot bypass it.
        policy.check_address(str(address[0]), host)
        return socket.socket(family=family, type=kind, proto=protocol)

    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            resolver=_Resolver(policy, lookup), socket_factory=checked_socket, limit=2
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        timeout=aiohttp.ClientTimeout(total=options.timeout.total_seconds()),
    ) as session:
        yield Poster(options, await _secret(options.secret), session)


async def _secret(text: str) -> str:
    """The secret itself, where the option refers to one."""
    found = references(text)
    names = tuple(one.rpartition("/")[2] for one in found)
    values = await Secrets(section="alerts", env_patterns=names).resolve(found)
    return fill(text, values)
