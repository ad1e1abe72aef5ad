"""Keeps channels open between calls: a bounded cache, least recently used out first."""

from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import attrs
import grpc

from dsched_executor_grpc.endpoint import Endpoint

# After a server's restart calls fail at once until the channel connects again: so try soon.
_FIRST_RECONNECT_MS = 200
_LAST_RECONNECT_MS = 5_000
_CONNECT_TIMEOUT_MS = 10_000
_MAX_RESPONSE_METADATA_BYTES = 16 * 1024


@attrs.define(eq=False)
class HeldChannel:
    """A channel and how many calls use it. ``dropped``: close it when the last of them is over."""

    channel: grpc.aio.Channel
    users: int = 0
    dropped: bool = False


class Channels:
    """Channels by endpoint. Never closes one under a running call, except in `close`."""

    def __init__(self, *, max_channels: int, max_message_bytes: int) -> None:
        self._max_channels = max_channels
        self._max_message_bytes = max_message_bytes
        self._cached: OrderedDict[Endpoint, HeldChannel] = OrderedDict()
        self._open: set[HeldChannel] = set()

    def __len__(self) -> int:
        """How many channels are open, the dropped ones that still serve a call included."""
        return len(self._open)

    @asynccontextmanager
    async def borrow(self, endpoint: Endpoint) -> AsyncIterator[grpc.aio.Channel]:
        """A channel to ``endpoint`` for the length of one call."""
        held = self._cached.get(endpoint)
        if held is None:
            held = HeldChannel(self._connect(endpoint))
            self._open.add(held)
            self._cached[endpoint] = held
        self._cached.move_to_end(endpoint)
        held.users += 1
        try:
            await self._evict()
            yield held.channel
        finally:
            held.users -= 1
            await self._close_if_unused(held)

    def forget(self, endpoint: Endpoint, channel: grpc.aio.Channel) -> None:
        """Let the next call connect anew; calls that use this borrowed channel go on with it."""
        held = self._cached.get(endpoint)
        if held is not None and held.channel is channel:
            del self._cached[endpoint]
            held.dropped = True

    async def close(self) -> None:
        """Close every channel, cancelling the calls that are still on it."""
        self._cached.clear()
        while self._open:
            await self._open.pop().channel.close()

    async def _evict(self) -> None:
        while len(self._cached) > self._max_channels:
            _, oldest = self._cached.popitem(last=False)
            oldest.dropped = True
            await self._close_if_unused(oldest)

    async def _close_if_unused(self, held: HeldChannel) -> None:
        if held.dropped and held.users == 0 and held in self._open:
            await held.channel.close()
            self._open.discard(held)

    def _connect(self, endpoint: Endpoint) -> grpc.aio.Channel:
        options: list[tuple[str, str | int]] = [
            ("grpc.default_authority", endpoint.authority),
            ("grpc.enable_http_proxy", 0),
            ("grpc.service_config_disable_resolution", 1),
            ("grpc.use_local_subchannel_pool", 1),
            ("grpc.max_send_message_length", self._max_message_bytes),
            ("grpc.max_receive_message_length", self._max_message_bytes),
            ("grpc.max_metadata_size", _MAX_RESPONSE_METADATA_BYTES),
            ("grpc.initial_reconnect_backoff_ms", _FIRST_RECONNECT_MS),
            ("grpc.min_reconnect_backoff_ms", _CONNECT_TIMEOUT_MS),
            ("grpc.max_reconnect_backoff_ms", _LAST_RECONNECT_MS),
            ("grpc.primary_user_agent", "dsched"),
        ]
        if not endpoint.secure:
            return grpc.aio.insecure_channel(endpoint.address, options=options)
        credentials = grpc.ssl_channel_credentials(
            root_certificates=endpoint.ca or None,
            private_key=endpoint.key or None,
            certificate_chain=endpoint.cert or None,
        )
        options.append(("grpc.ssl_target_name_override", endpoint.server_name))
        return grpc.aio.secure_channel(endpoint.address, credentials, options=options)
