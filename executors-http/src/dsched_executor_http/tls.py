"""TLS contexts by payload: made once, made anew when a file has changed."""

import asyncio
import ssl
from pathlib import Path

from dsched.contracts import TaskFailed
from dsched.contracts.executor.files import FileError, find_file
from dsched_executor_http.payload import Tls

MAX_CONTEXTS = 64

# What a context depends on: the options, and when each file was last changed.
_Key = tuple[Tls, tuple[int, ...]]


class TlsContexts:
    """The contexts of one executor. One context a set of options, so that no connection made
    with other options, another client certificate for instance, is ever used again."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._contexts: dict[_Key, ssl.SSLContext] = {}

    async def get(self, tls: Tls | None) -> ssl.SSLContext | bool:
        """The context to connect with. Raises `TaskFailed`, code ``tls``, naming a bad file."""
        if tls is None:
            return True
        key, context = await asyncio.to_thread(self._find_or_load, tls)
        if key not in self._contexts and len(self._contexts) >= MAX_CONTEXTS:
            self._contexts.pop(next(iter(self._contexts)))
        return self._contexts.setdefault(key, context)

    def _find_or_load(self, tls: Tls) -> tuple[_Key, ssl.SSLContext]:
        names = [name for name in (tls.ca_file, tls.cert_file, tls.key_file) if name is not None]
        try:
            changed = tuple(self._path(name).stat().st_mtime_ns for name in names)
            key = (tls, changed)
            return key, self._contexts.get(key) or self._load(tls)
        except FileError as error:
            raise TaskFailed(str(error), "tls", retryable=error.passing) from None
        except (OSError, ssl.SSLError) as error:
            reason = error.strerror
            if isinstance(error, ssl.SSLError):
                reason = "no certificate in PEM form, or a key that does not fit"
            raise TaskFailed(
                f"the TLS files {', '.join(names)} in executors.http.tls_dir cannot be used: "
                f"{reason}",
                "tls",
                retryable=False,
            ) from None

    def _path(self, name: str) -> Path:
        return find_file(self._directory, name, option="executors.http.tls_dir")

    def _load(self, tls: Tls) -> ssl.SSLContext:
        ca_file = None if tls.ca_file is None else str(self._path(tls.ca_file))
        context = ssl.create_default_context(cafile=ca_file)
        if not tls.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if tls.cert_file is not None:
            key_file = None if tls.key_file is None else str(self._path(tls.key_file))
            # An empty password instead of a prompt on the terminal for an encrypted key.
            context.load_cert_chain(str(self._path(tls.cert_file)), key_file, password="")
        return context
