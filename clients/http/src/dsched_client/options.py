"""The options of both clients, checked once."""

import os
import secrets
from pathlib import Path

import attrs

from dsched_client.requests import Endpoint, common_headers, endpoint

MAX_ANSWER_BYTES = 64 * 1024 * 1024
MAX_TOKEN_FILE_BYTES = 4096


@attrs.frozen(kw_only=True)
class Options:
    """The address, the token, the timeouts. ``headers`` hold the token, so they are never shown."""

    endpoint: Endpoint
    headers: dict[str, str] = attrs.field(repr=False)
    timeout_s: float
    retry_for_s: float
    attempts: int


def options(
    url: str,
    *,
    agent: str,
    token: str | None,
    token_file: str | os.PathLike[str] | None,
    timeout_s: float,
    retry_for_s: float,
    attempts: int,
) -> Options:
    """Options from arguments; `ValueError` names the one that cannot be. ``agent``: who asks."""
    if token is not None and token_file is not None:
        raise ValueError("give either token or token_file")
    if token_file is not None:
        token = _read_token(token_file)
    for name, value in (("timeout_s", timeout_s), ("attempts", attempts)):
        if not value > 0:
            raise ValueError(f"{name} must be more than 0, got {value}")
    if retry_for_s < 0:
        raise ValueError(f"retry_for_s must be 0 or more, got {retry_for_s}")
    return Options(
        endpoint=endpoint(url),
        headers=common_headers(token, agent),
        timeout_s=timeout_s,
        retry_for_s=retry_for_s,
        attempts=attempts,
    )


def new_key() -> str:
    """An Idempotency-Key: the same for every attempt at one call, and for no other call."""
    return secrets.token_hex(16)


def _read_token(file: str | os.PathLike[str]) -> str:
    with Path(file).open(encoding="ascii") as opened:
        text = opened.read(MAX_TOKEN_FILE_BYTES)
    token = text.strip()
    if not token:
        raise ValueError(f"token_file {os.fspath(file)!r} is empty")
    return token
