"""What each kind of missing answer means for the attempt."""

import os
import ssl

import aiohttp
from aiohttp.http_exceptions import LineTooLong

from dsched.contracts import TaskFailed
from dsched.contracts.executor.egress import EgressRefusedError
from dsched.contracts.executor.secrets import Redactor


def as_task_failed(error: Exception, shown: str, redactor: Redactor) -> TaskFailed:
    """The failure that an error of the client is, with a code and whether to try again.

    Messages of the client are repeated only where they cannot contain what a server sent.
    """
    code, what, retryable = _judge(error)
    return TaskFailed(redactor.text(f"{shown}: {what}"), code, retryable=retryable)


def _judge(error: Exception) -> tuple[str, str, bool]:
    if isinstance(error, EgressRefusedError):
        return "refused", str(error), False
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return "tls", f"the server's certificate is not accepted: {_certificate(error)}", False
    if isinstance(error, aiohttp.ClientSSLError | ssl.SSLError):
        return "tls", f"no TLS connection: {_reason(error)}", True
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "connect", f"the name cannot be resolved: {_reason(error)}", True
    if isinstance(error, TimeoutError):
        return "timeout", "no connection within executors.http.connect_timeout", True
    if isinstance(error, aiohttp.InvalidURL):
        return "payload", "the HTTP client does not accept the URL", False
    if isinstance(error, aiohttp.ClientResponseError):
        if isinstance(error.__cause__, LineTooLong) or "Got more than" in error.message:
            return "too_large", "the response's headers are larger than allowed", False
        return "response", "the response is not valid HTTP", True
    if isinstance(error, aiohttp.ClientPayloadError):
        return "connect", "the connection broke while the response was read", True
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "connect", "the server closed the connection without an answer", True
    return "connect", f"no connection: {_reason(error)}", True


def _reason(error: BaseException) -> str:
    inner = getattr(error, "os_error", None) or error
    number = getattr(inner, "errno", None)
    # gaierror has its own numbers, below zero on Linux, and a text that fits.
    if isinstance(number, int) and number > 0 and not isinstance(inner, ssl.SSLError):
        return os.strerror(number)
    return (
        getattr(inner, "strerror", None) or getattr(inner, "reason", None) or type(inner).__name__
    )


def _certificate(error: aiohttp.ClientConnectorCertificateError) -> str:
    inner = error.certificate_error
    return getattr(inner, "verify_message", "") or type(inner).__name__
