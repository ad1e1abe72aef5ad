"""What a connection needs for TLS, and whether the files that are named can be used."""

import ssl
from collections.abc import Mapping
from typing import Any

from dsched_store_redis.options import RedisOptions, TlsOptions


def tls_settings(options: RedisOptions) -> Mapping[str, Any] | None:
    """What redis-py is told, or None where connections are in the clear.

    `ValueError` for a file that cannot be read or used. The files are read again for each
    connection, so that a certificate may be renewed under way.
    """
    if not options.encrypted:
        return None
    tls = options.tls
    check_files(tls)
    files = {
        "ssl_ca_certs": tls.ca_file,
        "ssl_certfile": tls.cert_file,
        "ssl_keyfile": tls.key_file,
    }
    given = {name: value for name, value in files.items() if value}
    return {"ssl_check_hostname": tls.check_hostname, **given}


def check_files(tls: TlsOptions) -> None:
    """`ValueError` naming the file that cannot be read or used."""
    for name, path in tls.files().items():
        try:
            with open(path, "rb"):
                pass
        except OSError as error:
            raise ValueError(
                f"redis.tls.{name}: {path} cannot be read: {error.strerror}; check the path and "
                "its mode"
            ) from error
    context = ssl.create_default_context()
    if tls.ca_file:
        with _named("ca_file", tls.ca_file):
            context.load_verify_locations(cafile=tls.ca_file)
    if tls.cert_file:
        with _named("cert_file", tls.cert_file):
            # For an encrypted key the library would ask for a password on the terminal.
            context.load_cert_chain(tls.cert_file, tls.key_file or None, password=lambda: "")


class _named:  # noqa: N801 - read as a word: with _named("ca_file", path)
    """Says which file an error of the TLS library is about."""

    def __init__(self, name: str, path: str) -> None:
        self._name = name
        self._path = path

    def __enter__(self) -> None:
        """Nothing yet."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Turn an error of the library into one with a name."""
        if isinstance(error, ssl.SSLError):
            raise ValueError(
                f"redis.tls.{self._name}: {self._path} cannot be used: {error.reason or error}; it "
                "must hold certificates in PEM form (and a key without password beside cert_file)"
            ) from error
