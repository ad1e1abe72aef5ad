"""What is checked of a server before a step is run on it."""

import ipaddress
import logging
from collections.abc import Awaitable, Callable, Hashable

from redis.exceptions import RedisError

from dsched.contracts.store.outcomes import StoreError, StoreRefusedError, StoreUnavailableError
from dsched.contracts.store.settings import StoreSettings
from dsched_store_redis.conditions import CONDITIONS
from dsched_store_redis.connections import Dialler, Reply
from dsched_store_redis.errors import code_of
from dsched_store_redis.options import Durability, RedisOptions, hash_tag
from dsched_store_redis.scripts import FORMATS

log = logging.getLogger("dsched.store.redis")

# Send one command to the server that is checked; its answer.
Ask = Callable[..., Awaitable[Reply]]
Warn = Callable[..., object]

# The format of a store while it is filled: no pod opens it.
FILLING = "filling"

_LEAST = (6, 2)
_FLAGS_FROM = (7, 0)
_MAX_LAG_S = 2


async def check_server(ask: Ask, options: RedisOptions, *, warn: Warn = log.warning) -> bool:
    """Refuse a server that would lose or evict what dsched keeps; whether it knows script flags.

    ``ask`` sends one command to it. Raises `StoreRefusedError`, and `StoreUnavailableError` for a
    replica where somebody else names the primary.
    """
    if options.cluster is not None:
        # Any node answers INFO. A node without the slot names the node that has it only when it is
        # asked for a key.
        await ask(b"HGET", f"{options.key_prefix}meta".encode(), b"format")
    info = parse_info(await ask(b"INFO"))
    version = _version(info)
    if version < _LEAST:
        raise StoreRefusedError(
            f"the server is Redis {info.get('redis_version')}; dsched needs 6.2 or newer, or Valkey"
        )
    _check_prefix(info, options)
    if info.get("role", "master") != "master":
        _refuse_replica(options)
    if options.durability is not Durability.DEV:
        _check_eviction(info)
        _check_persistence(info, warn)
    if options.durability is Durability.HA and version < _FLAGS_FROM:
        raise StoreRefusedError(
            "redis.durability ha needs Redis 7.0 or newer, or Valkey: older servers do not apply "
            "min-replicas-to-write to scripts, so a primary that is cut off would go on "
            "acknowledging; use a newer server, or strict"
        )
    if options.durability in {Durability.HA, Durability.STRICT}:
        needed = await _check_replicas(ask, info, warn)
        if options.durability is Durability.STRICT:
            _warn_of_more(info, "redis.replicas", options.replicas, warn)
        else:
            _warn_of_more(info, "min-replicas-to-write of the server", needed, warn)
    return version >= _FLAGS_FROM


def parse_info(reply: bytes) -> dict[str, str]:
    """The fields of an INFO answer."""
    rows = (line.partition(":") for line in reply.decode(errors="replace").splitlines())
    return {name: value.strip() for name, colon, value in rows if colon}


def _version(info: dict[str, str]) -> tuple[int, int]:
    major, minor, *_ = [*info.get("redis_version", "0.0").split("."), "0"]
    return int(major), int(minor)


def _refuse_replica(options: RedisOptions) -> None:
    if options.sentinel is not None or options.cluster is not None:
        raise StoreUnavailableError(
            "the server that was named as the primary is a replica by now: a failover is under way",
            maybe_applied=False,
        )
    raise StoreRefusedError(
        "the server is a replica: dsched works on a primary only; correct redis.addr, or let "
        "redis.sentinel find it"
    )


def _check_prefix(info: dict[str, str], options: RedisOptions) -> None:
    clustered = info.get("cluster_enabled") == "1" or options.cluster is not None
    if not clustered or hash_tag(options.key_prefix):
        return
    wanted = options.key_prefix.replace("{", "").replace("}", "").strip(":") or "dsched"
    raise StoreRefusedError(
        f"redis.key_prefix {options.key_prefix!r} has no hash tag, and on a cluster all keys of "
        f"one dsched must lie in one slot: write key_prefix: '{{{wanted}}}:'"
    )


def _check_eviction(info: dict[str, str]) -> None:
    policy = info.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        raise StoreRefusedError(
            f"the server evicts keys when its memory is full (maxmemory-policy {policy}), the "
            "leader lock first: set maxmemory-policy noeviction on the server, or, to try things "
            "out, redis.durability: dev"
        )


def _check_persistence(info: dict[str, str], warn: Warn) -> None:
    if info.get("aof_enabled") != "1":
        warn(
            "Redis keeps no append-only file: what it acknowledged since its last snapshot is lost "
            "when it stops; set appendonly yes on the server"
        )


async def _check_replicas(ask: Ask, info: dict[str, str], warn: Warn) -> int:
    """``min-replicas-to-write`` bounds what a cut-off primary can acknowledge and then lose.

    How many replicas the server needs.
    """
    settings = {}
    for name in (b"min-replicas-to-write", b"min-replicas-max-lag"):
        try:
            reply = await ask(b"CONFIG", b"GET", name)
        except (StoreError, RedisError) as error:
            if code_of(error.__cause__ or error) != "NOPERM":
                raise
            reply = []
        settings[name.decode()] = int(reply[1]) if len(reply) > 1 else None
    replicas, lag_s = settings["min-replicas-to-write"], settings["min-replicas-max-lag"]
    if replicas is None:
        # If CONFIG is hidden, INFO still shows whether any limit is set.
        replicas = 1 if "min_slaves_good_slaves" in info else 0
        warn("Redis hides its configuration: min-replicas-max-lag could not be checked")
    if replicas < 1 or (lag_s is not None and not 0 < lag_s <= _MAX_LAG_S):
        raise StoreRefusedError(
            f"the server has min-replicas-to-write {replicas} and min-replicas-max-lag {lag_s}: a "
            "primary that is cut off would go on acknowledging what is lost at the failover; set "
            f"min-replicas-to-write 1 and min-replicas-max-lag {_MAX_LAG_S}, or choose "
            "redis.durability: standalone"
        )
    return replicas


def _warn_of_more(info: dict[str, str], setting: str, needed: int, warn: Warn) -> None:
    """A failover may promote any replica, so each one that a step does not need may lack it."""
    connected = int(info.get("connected_slaves", "0"))
    if connected > needed:
        warn(
            "%d replicas follow the server and %s is %d: at a failover that is asked for while the "
            "server lives, one that lags may take over, and what was acknowledged meanwhile is "
            "lost: usually a second of it, but nothing bounds it; set %s to %d to bound it (then "
            "nothing is acknowledged while one of them is away)",
            connected,
            setting,
            needed,
            setting,
            connected,
        )


async def check_format(found: bytes) -> None:
    """Refuse a store of another format."""
    if found == FILLING.encode():
        raise StoreRefusedError(
            "a restore or copy into it was broken off half-way: remove its keys (redis-cli --scan "
            "--pattern 'PREFIX*' | xargs redis-cli unlink, with redis.key_prefix for PREFIX), and "
            "do it again"
        )
    if found.decode(errors="replace") not in FORMATS:
        raise StoreRefusedError(
            f"the store has format {found.decode(errors='replace')}; this dsched knows "
            f"{' and '.join(FORMATS)}: run the version that wrote it or a newer one, or choose "
            "another redis.key_prefix"
        )


def check_timeout(options: RedisOptions, settings: StoreSettings) -> None:
    """Refuse a timeout in which a leader would lose its lock over one call that is not answered."""
    trust_ms = settings.leader_trust_ms
    timeout_ms = options.timeout.total_seconds() * 1000
    if trust_ms is not None and timeout_ms >= trust_ms:
        raise StoreRefusedError(
            f"redis.timeout is {timeout_ms / 1000:g} s, and a leader trusts its lock for no more "
            f"than {trust_ms / 1000:g} s after a renewal: one renewal without an answer would cost "
            "the leadership; set redis.timeout lower, or schedule.leader_lock_ttl higher"
        )


def warn_of_profile(options: RedisOptions, who: Hashable) -> None:
    """Say loudly, once a process, that behind sentinels this profile bounds no loss."""
    if options.sentinel is not None and options.durability is Durability.STANDALONE:
        CONDITIONS.begins(
            ("profile behind sentinels", options.sentinel.master),
            who,
            "redis.sentinel is set and redis.durability is standalone: at each failover, "
            "planned or not, what the old primary acknowledged and the new one has not got "
            "is lost, and what ran may run again; nothing bounds it. Set redis.durability: "
            "ha, and on the servers min-replicas-to-write 1 and min-replicas-max-lag %d",
            _MAX_LAG_S,
            level=logging.WARNING,
        )


def warn_of_exposure(options: RedisOptions, dialler: Dialler) -> None:
    """Say loudly that a store beyond this machine is open or unencrypted (S16)."""
    hosts = [dialler.address[0]]
    if options.sentinel is not None or options.cluster is not None:
        nodes = (options.sentinel or options.cluster).nodes  # type: ignore[union-attr]
        hosts = [node.rpartition(":")[0] for node in nodes]
    if all(map(_loopback, hosts)):
        return
    if not dialler.credentials().password:
        log.warning(
            "Redis at %s is used without a password: whoever reaches it can run any task; set "
            "redis.username and redis.password (the README has an ACL user)",
            ", ".join(hosts),
        )
    if not dialler.encrypted:
        log.warning(
            "Redis at %s is used without TLS: passwords and payloads cross the network in the "
            "clear; set redis.tls.enabled or use rediss://",
            ", ".join(hosts),
        )


def _loopback(host: str) -> bool:
    host = host.strip("[]")
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
