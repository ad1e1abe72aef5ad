"""TLS: what is asked for is used, and what cannot be used ends the start with its name."""

from pathlib import Path
from typing import Any

import pytest
import trustme

from dsched.contracts.store.outcomes import StoreRefusedError, StoreUnavailableError
from dsched_store_redis.options import RedisOptions, SentinelOptions, TlsOptions
from dsched_testkit.servers import RedisServer


async def test_a_rediss_url_trusts_the_authority_that_is_named(
    shared_server: RedisServer, opener: Any, tls_front: Any
) -> None:
    ca, other = trustme.CA(), trustme.CA()
    async with tls_front(shared_server, ca) as port:
        with ca.cert_pem.tempfile() as good, other.cert_pem.tempfile() as bad:
            url = f"rediss://localhost:{port}/0"
            async with opener(shared_server, url=url, tls=TlsOptions(ca_file=good)) as store:
                assert await store.leader() is None
            with pytest.raises(StoreUnavailableError, match="certificate"):
                async with opener(shared_server, url=url, tls=TlsOptions(ca_file=bad)):
                    pass


async def test_a_rediss_url_may_do_without_the_name_in_the_certificate(
    shared_server: RedisServer, opener: Any, tls_front: Any
) -> None:
    ca = trustme.CA()
    async with tls_front(shared_server, ca) as port:
        with ca.cert_pem.tempfile() as good:
            tls = TlsOptions(ca_file=good, check_hostname=False)
            url = f"rediss://127.0.0.1:{port}/0"
            async with opener(shared_server, url=url, tls=tls) as store:
                assert await store.leader() is None


@pytest.mark.parametrize("name", ["ca_file", "cert_file", "key_file"])
@pytest.mark.parametrize("how", ["url", "enabled"])
async def test_a_missing_file_is_named_and_ends_the_start(
    name: str, how: str, shared_server: RedisServer, opener: Any
) -> None:
    files = {"cert_file": __file__, name: "/no/such"}
    options: dict[str, Any] = {"tls": TlsOptions(enabled=how == "enabled", **files)}
    if how == "url":
        options["url"] = f"rediss://{shared_server.addr}/0"
    with pytest.raises(StoreRefusedError, match=rf"redis\.tls\.{name}: /no/such cannot be read"):
        async with opener(shared_server, **options):
            pass


async def test_a_file_without_a_certificate_is_named_and_ends_the_start(
    shared_server: RedisServer, opener: Any, tmp_path: Path
) -> None:
    file = tmp_path / "ca.pem"
    file.write_text("no certificate")
    options = {"url": f"rediss://{shared_server.addr}/0", "tls": TlsOptions(ca_file=str(file))}
    with pytest.raises(StoreRefusedError, match=rf"redis\.tls\.ca_file: {file} cannot be used"):
        async with opener(shared_server, **options):
            pass


def test_files_for_a_connection_without_tls_are_refused() -> None:
    with pytest.raises(ValueError, match=r"tls\.ca_file is given and TLS is off.*tls\.enabled"):
        RedisOptions(tls=TlsOptions(ca_file="ca.pem"))
    with pytest.raises(ValueError, match=r"tls\.ca_file is given and TLS is off.*rediss://"):
        RedisOptions(url="redis://h:1/0", tls=TlsOptions(ca_file="ca.pem"))
    assert RedisOptions(url="rediss://h:1/0", tls=TlsOptions(ca_file="ca.pem"))


@pytest.mark.parametrize("query", ["ssl_ca_certs=/x", "ssl_cert_reqs=none", "socket_timeout=3"])
async def test_what_a_url_asks_for_and_is_not_honoured_is_refused(
    query: str, shared_server: RedisServer, opener: Any
) -> None:
    url = f"rediss://{shared_server.addr}/0?{query}"
    with pytest.raises(StoreRefusedError, match=rf"redis\.url: {query.partition('=')[0]}"):
        async with opener(shared_server, url=url):
            pass


@pytest.mark.parametrize(
    "options",
    [
        {"addr": "rediss://:secret@127.0.0.1:6379"},
        {"sentinel": SentinelOptions(nodes=("redis://127.0.0.1:26379",), master="m")},
    ],
)
def test_a_url_in_the_place_of_an_address_is_refused_without_being_shown(
    options: dict[str, Any],
) -> None:
    with pytest.raises(ValueError, match=r"give a URL as redis\.url") as refused:
        RedisOptions(**options)
    assert "secret" not in str(refused.value)
