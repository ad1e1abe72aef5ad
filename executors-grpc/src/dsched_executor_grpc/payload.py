"""Reads a task's payload into a `GrpcCall`, or says everything that is wrong with it."""

import base64
import binascii
import ipaddress
import re
from collections.abc import Mapping

import attrs

from dsched.contracts import TaskFailed
from dsched.contracts.executor.secrets import (
    mentions_secret,
    reference_problem,
    references,
    texts_of,
)
from dsched.model import JsonValue
from dsched.wording import unknown_keys

INLINE_PREFIX = "base64:"
MAX_METADATA_ENTRIES = 64
MAX_METADATA_BYTES = 8 * 1024

_KEYS = ("target", "method", "request", "metadata", "descriptor_set", "tls", "plaintext")
_TLS_KEYS = ("enabled", "ca_file", "cert_file", "key_file", "server_name")
_METHOD = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*/[A-Za-z_]\w*", re.ASCII)
_HOST = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,252})")
_METADATA_KEY = re.compile(r"[a-z0-9_.-]{1,128}")
_METADATA_VALUE = re.compile(r"[\x20-\x7e]*")
_FILE = re.compile(r"[\w.-]+(?:/[\w.-]+)*", re.ASCII)
_RESERVED_PREFIXES = ("grpc-", "x-dsched-")
_RESERVED = frozenset(
    {
        "idempotency-key", "traceparent", "content-type", "content-length", "user-agent", "te",
        "host", "connection", "transfer-encoding", "upgrade", "keep-alive", "proxy-connection",
    }
)  # fmt: skip


@attrs.frozen(kw_only=True)
class TlsSettings:
    """How the channel is secured; ``enabled`` None leaves it to where the target turns out to
    be."""

    enabled: bool | None = None
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    server_name: str = ""


@attrs.frozen(kw_only=True)
class GrpcCall:
    """One unary call as a task describes it. ``inline_set`` and ``set_file`` exclude each other."""

    host: str
    port: int
    service: str
    method: str
    request: JsonValue
    metadata: tuple[tuple[str, str], ...]
    set_file: str
    inline_set: bytes
    tls: TlsSettings
    plaintext: bool

    @property
    def authority(self) -> str:
        """``host:port`` as the server is addressed."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def path(self) -> str:
        """The name of the method on the wire."""
        return f"/{self.service}/{self.method}"

    @property
    def secrets(self) -> list[str]:
        """The references that must be filled in first, each once."""
        values = (text for _, text in self.metadata)
        texts = (*values, *texts_of(self.request))
        return list(dict.fromkeys(found for text in texts for found in references(text)))


def check_payload(payload: JsonValue) -> list[str]:
    """The problems of a payload, found without calling anything; empty when it is fine."""
    return _read(payload)[1]


def parse_payload(payload: JsonValue) -> GrpcCall:
    """The call that a payload describes; raises a `TaskFailed` that is not worth a retry."""
    call, problems = _read(payload)
    if problems or call is None:
        raise TaskFailed(
            "the payload cannot be used: " + "; ".join(problems),
            code="invalid_payload",
            retryable=False,
        )
    return call


def _read(payload: JsonValue) -> tuple[GrpcCall | None, list[str]]:
    problems: list[str] = []
    if not isinstance(payload, Mapping):
        kind = type(payload).__name__
        return None, [f"payload: must be a mapping with `target` and `method`, got {kind}"]
    problems += unknown_keys(payload, _KEYS)
    host, port = _target(payload.get("target"), problems)
    service, method = _method(payload.get("method"), problems)
    plaintext = _flag(payload, "plaintext", "", problems)
    tls = _tls(payload, problems)
    if plaintext and tls.enabled:
        problems.append("plaintext: contradicts `tls`; keep one of them")
    found = map(reference_problem, texts_of(payload.get("request")))
    problems += [f"request: {problem}" for problem in found if problem is not None][:1]
    set_file, inline_set = _descriptor_set(payload.get("descriptor_set"), problems)
    call = GrpcCall(
        host=host,
        port=port,
        service=service,
        method=method,
        request=payload.get("request"),
        metadata=_metadata(payload.get("metadata"), problems),
        set_file=set_file,
        inline_set=inline_set,
        tls=tls,
        plaintext=bool(plaintext),
    )
    return call, problems


def _target(value: JsonValue, problems: list[str]) -> tuple[str, int]:
    wanted = "such as `orders.example.com:443` or `[2001:db8::1]:443`"
    if not isinstance(value, str):
        problems.append(f"target: must be text, host and port, {wanted}")
        return "", 0
    host, colon, port_text = value.rpartition(":")
    if not colon or not re.fullmatch(r"[0-9]{1,5}", port_text) or not 0 < int(port_text) < 65536:
        problems.append(f"target: needs a port of 1 to 65535 at its end, {wanted}")
        return "", 0
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
        valid = _is_ipv6(host)
    else:
        valid = _HOST.fullmatch(host) is not None
    if not valid:
        problems.append(f"target: is neither a host name nor an address with a port, {wanted}")
        return "", 0
    return host, int(port_text)


def _is_ipv6(text: str) -> bool:
    try:
        return ipaddress.IPv6Address(text).scope_id is None
    except ValueError:
        return False


def _method(value: JsonValue, problems: list[str]) -> tuple[str, str]:
    if not isinstance(value, str) or not _METHOD.fullmatch(value):
        problems.append("method: must be `package.Service/Method`, such as `shop.Orders/Close`")
        return "", ""
    service, _, method = value.partition("/")
    return service, method


def _flag(found: Mapping[str, JsonValue], key: str, where: str, problems: list[str]) -> bool | None:
    value = found.get(key)
    if value is None or isinstance(value, bool):
        return value
    problems.append(f"{where}{key}: must be true or false")
    return None


def _tls(payload: Mapping[str, JsonValue], problems: list[str]) -> TlsSettings:
    value = payload.get("tls")
    if value is None:
        return TlsSettings()
    if not isinstance(value, Mapping):
        problems.append(f"tls: must be a mapping with keys of: {', '.join(_TLS_KEYS)}")
        return TlsSettings()
    problems += unknown_keys(value, _TLS_KEYS, "tls.")
    enabled = _flag(value, "enabled", "tls.", problems)
    names = {key: _file_name(value.get(key), f"tls.{key}", problems) for key in _TLS_KEYS[1:4]}
    if bool(names["cert_file"]) != bool(names["key_file"]):
        problems.append("tls: cert_file and key_file belong together; give both or neither")
    server_name = value.get("server_name", "")
    if server_name and not (isinstance(server_name, str) and _HOST.fullmatch(server_name)):
        problems.append("tls.server_name: must be the host name in the server's certificate")
        server_name = ""
    return TlsSettings(enabled=enabled is not False, server_name=server_name or "", **names)


def _file_name(value: JsonValue, where: str, problems: list[str]) -> str:
    if value is None or value == "":
        return ""
    if isinstance(value, str) and _FILE.fullmatch(value) and ".." not in value.split("/"):
        return value
    problems.append(
        f"{where}: must be a file name relative to the directory that the operator has set, "
        "without `..`"
    )
    return ""


def _descriptor_set(value: JsonValue, problems: list[str]) -> tuple[str, bytes]:
    if isinstance(value, str) and value.startswith(INLINE_PREFIX):
        try:
            return "", base64.b64decode(value[len(INLINE_PREFIX) :], validate=True)
        except (binascii.Error, ValueError) as error:
            problems.append(f"descriptor_set: is not valid base64 ({error})")
            return "", b""
    return _file_name(value, "descriptor_set", problems), b""


def _metadata(value: JsonValue, problems: list[str]) -> tuple[tuple[str, str], ...]:
    if value is None:
        return ()
    if not isinstance(value, Mapping):
        problems.append("metadata: must be a mapping of text to text")
        return ()
    pairs: dict[str, str] = {}
    for key, text in value.items():
        folded = str(key).lower()
        problem = _metadata_problem(folded, text)
        if folded in pairs:
            problem = "is given twice (case does not count)"
        if problem:
            problems.append(f"metadata.{key}: {problem}")
        else:
            pairs[folded] = text
    size = sum(len(key) + len(text) + 32 for key, text in pairs.items())
    if len(pairs) > MAX_METADATA_ENTRIES or size > MAX_METADATA_BYTES:
        problems.append(
            f"metadata: at most {MAX_METADATA_ENTRIES} entries and {MAX_METADATA_BYTES} bytes, "
            f"got {len(pairs)} and {size}"
        )
    return tuple(pairs.items())


def _metadata_problem(key: str, text: JsonValue) -> str:
    """What is wrong with one entry, without ever repeating its value: it may be a secret."""
    if not _METADATA_KEY.fullmatch(key):
        return "names have 1 to 128 of a-z 0-9 _ . -"
    if key in _RESERVED or key.startswith(_RESERVED_PREFIXES):
        return "is set by dsched or by gRPC itself; choose another name"
    if not isinstance(text, str) or not _METADATA_VALUE.fullmatch(text):
        return "must be printable ASCII text; binary values go base64 under a name ending in -bin"
    if mentions_secret(text):
        return reference_problem(text) or ""
    if key.endswith("-bin"):
        try:
            base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            return "ends in -bin, so its value must be base64"
    return ""
