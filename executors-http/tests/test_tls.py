"""TLS: certificates are checked, a client certificate can be shown, files stay where they
belong."""

import ssl

import pytest
import trustme
from aiohttp import web

from dsched.contracts import TaskFailed


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def tls_dir(authority, tmp_path):
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    client = authority.issue_cert("client@example.com")
    client.private_key_pem.write_to_path(tmp_path / "client.key")
    for blob in client.cert_chain_pems:
        blob.write_to_path(tmp_path / "client.pem", append=True)
    (tmp_path / "broken.pem").write_text("no certificate")
    return tmp_path


def server_context(authority: trustme.CA, name: str, *, client: bool = False) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    if client:
        authority.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


async def hello(request: web.Request) -> web.Response:
    peer = request.transport.get_extra_info("peercert")
    return web.Response(text="client" if peer else "nobody")


async def test_a_certificate_of_the_given_authority_is_accepted(
    serve, run, authority, tls_dir
) -> None:
    url = await serve(hello, ssl=server_context(authority, "127.0.0.1"))
    result = await run(
        {"url": url, "tls": {"ca_file": "ca.pem"}}, options={"tls_dir": str(tls_dir)}
    )

    assert result.data["body"] == "nobody"


@pytest.mark.parametrize("tls", [None, {}, {"verify": True}])
async def test_a_certificate_of_an_unknown_authority_is_refused(serve, run, authority, tls) -> None:
    url = await serve(hello, ssl=server_context(authority, "127.0.0.1"))

    with pytest.raises(TaskFailed, match="certificate") as failure:
        await run({"url": url, "tls": tls})

    assert (failure.value.code, failure.value.retryable) == ("tls", False)


async def test_a_certificate_for_another_name_is_refused_unless_that_name_is_expected(
    serve, run, authority, tls_dir
) -> None:
    url = await serve(hello, ssl=server_context(authority, "inner.example"))
    options = {"tls_dir": str(tls_dir)}

    with pytest.raises(TaskFailed, match="certificate") as failure:
        await run({"url": url, "tls": {"ca_file": "ca.pem"}}, options=options)
    named = {"ca_file": "ca.pem", "server_name": "inner.example"}

    assert failure.value.code == "tls"
    assert (await run({"url": url, "tls": named}, options=options)).code == "200"


async def test_a_connection_without_checks_is_not_reused_for_a_checked_request(
    serve, run, open_executor, authority
) -> None:
    url = await serve(hello, ssl=server_context(authority, "127.0.0.1"))
    executor = await open_executor()

    assert (await run({"url": url, "tls": {"verify": False}}, executor=executor)).code == "200"
    with pytest.raises(TaskFailed, match="certificate"):
        await run({"url": url}, executor=executor)


async def test_a_client_certificate_is_shown(serve, run, authority, tls_dir) -> None:
    url = await serve(hello, ssl=server_context(authority, "127.0.0.1", client=True))
    options = {"tls_dir": str(tls_dir)}
    shown = {"ca_file": "ca.pem", "cert_file": "client.pem", "key_file": "client.key"}

    assert (await run({"url": url, "tls": shown}, options=options)).data["body"] == "client"
    with pytest.raises(TaskFailed):
        await run({"url": url, "tls": {"ca_file": "ca.pem"}}, options=options)


async def test_a_changed_file_is_read_again(serve, run, open_executor, authority, tls_dir) -> None:
    url = await serve(hello, ssl=server_context(authority, "127.0.0.1"))
    trustme.CA().cert_pem.write_to_path(tls_dir / "mine.pem")
    executor = await open_executor({"tls_dir": str(tls_dir)})
    payload = {"url": url, "tls": {"ca_file": "mine.pem"}}

    with pytest.raises(TaskFailed, match="certificate"):
        await run(payload, executor=executor)
    authority.cert_pem.write_to_path(tls_dir / "mine.pem")

    assert (await run(payload, executor=executor)).code == "200"


@pytest.mark.parametrize(
    ("tls", "reason"),
    [
        ({"ca_file": "missing.pem"}, "no file 'missing.pem'"),
        ({"ca_file": "broken.pem"}, "PEM"),
        ({"cert_file": "ca.pem"}, "PEM"),
    ],
)
async def test_a_file_that_cannot_be_used_is_named(run, tls_dir, tls, reason) -> None:
    with pytest.raises(TaskFailed, match=reason) as failure:
        await run({"url": "https://127.0.0.1:1/", "tls": tls}, options={"tls_dir": str(tls_dir)})

    assert (failure.value.code, failure.value.retryable) == ("tls", False)
    assert next(iter(tls.values())) in failure.value.message
    assert str(tls_dir) not in failure.value.message


async def test_without_a_directory_no_file_is_read(run) -> None:
    with pytest.raises(TaskFailed, match=r"executors\.http\.tls_dir") as failure:
        await run({"url": "https://127.0.0.1:1/", "tls": {"ca_file": "ca.pem"}})

    assert failure.value.code == "tls"


async def test_plain_text_where_tls_is_spoken_is_tried_again(serve, run) -> None:
    url = (await serve(hello)).replace("http:", "https:")

    with pytest.raises(TaskFailed, match="TLS") as failure:
        await run({"url": url})

    assert (failure.value.code, failure.value.retryable) == ("tls", True)


async def test_https_does_not_lead_to_http(serve, run, authority, tls_dir) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": "http://127.0.0.1/"})

    url = await serve(answer, ssl=server_context(authority, "127.0.0.1"))
    with pytest.raises(TaskFailed, match="from https to http") as failure:
        await run(
            {"url": url, "tls": {"ca_file": "ca.pem"}, "follow_redirects": True},
            options={"tls_dir": str(tls_dir)},
        )

    assert failure.value.code == "redirect"


async def test_a_client_certificate_is_not_shown_to_another_origin(
    serve, run, authority, tls_dir
) -> None:
    optional = server_context(authority, "127.0.0.1", client=True)
    optional.verify_mode = ssl.CERT_OPTIONAL
    elsewhere = await serve(hello, ssl=optional)

    async def answer(request: web.Request) -> web.Response:
        assert request.transport.get_extra_info("peercert")
        return web.Response(status=302, headers={"Location": elsewhere})

    url = await serve(answer, ssl=server_context(authority, "127.0.0.1", client=True))
    tls = {"ca_file": "ca.pem", "cert_file": "client.pem", "key_file": "client.key"}
    result = await run(
        {"url": url, "tls": tls, "follow_redirects": True}, options={"tls_dir": str(tls_dir)}
    )

    assert result.data["body"] == "nobody"
