"""Signatures of webhooks: HMAC-SHA256 over the time and the body; for the receiver, too."""

import hashlib
import hmac
import re

HEADER = "X-Dsched-Signature"
TOLERANCE_S = 300

_HEADER = re.compile(r"t=(\d{1,12}),v1=([0-9a-f]{64})")


def sign(secret: str, body: bytes, now_s: int) -> str:
    """The header's value: ``t=SECONDS,v1=HEX``, over ``SECONDS.BODY``."""
    return f"t={now_s},v1={_digest(secret, body, now_s)}"


def verify(
    secret: str, header: str, body: bytes, now_s: float, *, tolerance_s: int = TOLERANCE_S
) -> bool:
    """Whether the header's value signs this body, not longer than ``tolerance_s`` before or after
    ``now_s`` (Unix time). Compares in constant time. Keep the alert's id to know a repeat."""
    found = _HEADER.fullmatch(header)
    if found is None:
        return False
    signed_s = int(found[1])
    equal = hmac.compare_digest(_digest(secret, body, signed_s), found[2])
    return equal and abs(now_s - signed_s) <= tolerance_s


def _digest(secret: str, body: bytes, now_s: int) -> str:
    return hmac.new(secret.encode(), f"{now_s}.".encode() + body, hashlib.sha256).hexdigest()
