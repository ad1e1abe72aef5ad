"""Reading a URL strictly: one spelling of each host, so that no two parsers can disagree on it."""

import re
from functools import lru_cache
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from urllib.parse import quote, urljoin

import attrs

from dsched.contracts.executor.egress import is_host_name, is_numeric_host, normal_host

MAX_URL_LENGTH = 8000  # what common servers accept as a request line
_DEFAULT_PORTS = {"http": 80, "https": 443}

_URL = re.compile(
    r"\A(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*):(?P<slashes>//)?"
    r"(?P<authority>[^/?#]*)(?P<path>/[^?#]*)?(?:\?(?P<query>[^#]*))?(?:#.*)?\Z"
)
_AUTHORITY = re.compile(r"\A(?P<host>\[[^\[\]]*\]|[^:\[\]]*)(?P<colon>:(?P<port>.*))?\Z")
_USUAL_AUTHORITY = 100
_UNSAFE = re.compile(r"[\x00-\x20\x7f\\]")
# Characters that may stand in a path or query as they are; encoded ones stay encoded.
_KEPT = "/%:@!$&'()*+,;=?~-._[]"


class UrlProblemError(ValueError):
    """A URL that is not accepted; the message says what is wrong with it and what to write."""


@attrs.frozen
class TargetUrl:
    """An absolute http or https URL. ``host`` is lower case, without brackets."""

    scheme: str
    host: str
    port: int
    target: str  # path and query, percent-encoded

    @property
    def netloc(self) -> str:
        """Host, and port unless it is the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def text(self) -> str:
        """The whole URL, ASCII only."""
        return f"{self.scheme}://{self.netloc}{self.target}"

    @property
    def shown(self) -> str:
        """The URL for people and logs: without its query, which may hold a token."""
        path = self.target.partition("?")[0]
        return f"{self.scheme}://{self.netloc}{path if len(path) <= 200 else path[:200] + '...'}"

    def same_origin(self, other: "TargetUrl") -> bool:
        """Whether scheme, host and port are equal."""
        return (self.scheme, self.host, self.port) == (other.scheme, other.host, other.port)


def parse_url(text: str, query: str = "") -> TargetUrl:
    """Read a URL; ``query``, encoded already, is added to its own. Raises `UrlProblemError`."""
    if len(text) + len(query) > MAX_URL_LENGTH:
        raise UrlProblemError(f"is longer than {MAX_URL_LENGTH} characters")
    if _UNSAFE.search(text):
        raise UrlProblemError("contains a space, a backslash or a control character; encode it")
    parts = _URL.match(text)
    if parts is None:
        raise UrlProblemError("is not an absolute URL; write one such as https://example.com/path")
    scheme = parts["scheme"].lower()
    if scheme not in _DEFAULT_PORTS:
        raise UrlProblemError(f"has the scheme {scheme!r}; only http and https are called")
    if not parts["slashes"] or not parts["authority"]:
        raise UrlProblemError("names no host; write one such as https://example.com/path")
    authority = parts["authority"]
    read = _authority_of if len(authority) <= _USUAL_AUTHORITY else _read_authority
    host, port = read(authority, scheme)
    joined = "&".join(part for part in (parts["query"], query) if part)
    target = (parts["path"] or "/") + (f"?{joined}" if joined else "")
    try:
        return TargetUrl(scheme, host, port, quote(target, safe=_KEPT))
    except UnicodeEncodeError:
        raise UrlProblemError("contains half a character (a lone surrogate)") from None


def _read_authority(authority: str, scheme: str) -> tuple[str, int]:
    if "@" in authority:
        raise UrlProblemError(
            "carries a user name or password; put them into an Authorization header instead"
        )
    parts = _AUTHORITY.match(authority)
    if parts is None:
        raise UrlProblemError("has a host or port that cannot be read")
    port = _DEFAULT_PORTS[scheme]
    if parts["colon"]:
        digits = parts["port"]
        if not re.fullmatch(r"[0-9]{1,5}", digits) or not 1 <= int(digits) <= 65535:
            raise UrlProblemError("has a port that is not a number from 1 to 65535")
        port = int(digits)
    return _read_host(parts["host"]), port


@lru_cache(maxsize=1024)
def _authority_of(authority: str, scheme: str) -> tuple[str, int]:
    """Remembered, since thousands of tasks call few different hosts."""
    return _read_authority(authority, scheme)


def _read_host(host: str) -> str:
    if not host:
        raise UrlProblemError("names no host; write one such as https://example.com/path")
    if not host.isascii():
        raise UrlProblemError("has a host that is not ASCII; write it in punycode (xn--...)")
    if host.startswith("["):
        try:
            address = IPv6Address(host[1:-1])
        except AddressValueError:
            raise UrlProblemError("has brackets around what is no IPv6 address") from None
        if address.scope_id is not None:
            raise UrlProblemError("has an IPv6 zone, which only means something on one machine")
        return str(address)
    if not is_host_name(host):
        raise UrlProblemError("has a host that is no valid name")
    if is_numeric_host(host):
        try:
            return str(IPv4Address(normal_host(host)))
        except AddressValueError:
            raise UrlProblemError(
                "has a host that looks like a number but is no IPv4 address in its usual form; "
                "write four decimal numbers, as in 192.0.2.10"
            ) from None
    return host.lower()


def redirect_target(base: TargetUrl, location: str) -> TargetUrl:
    """Where a Location header leads. Raises `UrlProblemError`, also for https to http."""
    if _UNSAFE.search(location):
        raise UrlProblemError("contains a space, a backslash or a control character")
    try:
        joined = urljoin(base.text, location)
    except ValueError:
        raise UrlProblemError("cannot be read") from None
    target = parse_url(joined)
    if base.scheme == "https" and target.scheme == "http":
        raise UrlProblemError("leads from https to http")
    return target
