"""Where an executor may connect, and how that is secured."""

import asyncio
import errno
import socket

import grpc
import pytest
import trustme

from dsched.contracts import TaskFailed

METHOD = "shop.Orders/Close"


def payload_for(target, **more):
    return {"target": f"localhost:{target.port}", "method": METHOD, **more}


@pytest.fixture
def answer_names(monkeypatch):
    """Lets the system's resolver answer for orders.example.com: one list of addresses a time."""
    asked = []

    def set_answers(*answers):
        original = socket.getaddrinfo

        def getaddrinfo(host, port, *more, **options):
            if host != "orders.example.com":
                return original(host, port, *more, **options)
            ips = answers[min(len(asked), len(answers) - 1)]
            asked.append(host)
            if isinstance(ips, OSError):
                raise ips
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, port)) for ip in ips]

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        return asked

    return set_answers


# --- egress -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0x7f.1", "2130706433"]
)
async def test_loopback_is_refused_unless_it_is_allowed(host, target, open_grpc, run):
    executor = await open_grpc(allow=[])
    payload = {"target": f"{host}:{target.port}", "method": METHOD}
    with pytest.raises(TaskFailed) as failed:
        await run(executor, payload)

    assert target.seen == []
    assert target.reflections == 0
    assert (failed.value.code, failed.value.retryable) == ("egress_refused", False)
    assert "executors: {grpc: {allow: [" in failed.value.message


@pytest.mark.parametrize("ip", ["169.254.169.254", "10.0.0.1", "100.100.100.200", "[fd00::1]"])
async def test_private_and_metadata_addresses_are_refused(ip, open_grpc, run):
    with pytest.raises(TaskFailed) as failed:
        await run(await open_grpc(), {"target": f"{ip}:443", "method": METHOD})

    assert (failed.value.code, failed.value.retryable) == ("egress_refused", False)


async def test_one_refused_address_among_many_refuses_the_name(
    target, open_grpc, run, answer_names
):
    answer_names(["93.184.216.34", "127.0.0.1"])
    payload = {"target": f"orders.example.com:{target.port}", "method": METHOD}
    with pytest.raises(TaskFailed, match="loopback") as failed:
        await run(await open_grpc(allow=[]), payload)

    assert failed.value.code == "egress_refused"
    assert target.seen == []


async def test_a_name_is_resolved_once_and_the_checked_address_is_connected_to(
    target, open_grpc, run, make_context, answer_names
):
    # An address of a documentation network: nobody answers there.
    asked = answer_names(["198.51.100.7"], ["127.0.0.1"])
    payload = {
        "target": f"orders.example.com:{target.port}",
        "method": METHOD,
        "plaintext": True,
    }
    executor = await open_grpc(allow=["198.51.100.7"])
    with pytest.raises(TaskFailed) as failed:
        await run(executor, payload, context=make_context(timeout_s=0.5))

    assert failed.value.code in {"deadline_exceeded", "unavailable"}
    assert asked == ["orders.example.com"]
    assert (target.reflections, target.seen) == (0, [])


async def test_an_allowed_name_that_moves_is_followed(start_target, open_grpc, run, answer_names):
    target = await start_target()
    asked = answer_names(["127.0.0.1"], ["127.0.0.2"])
    other = await start_target(host="127.0.0.2", port=target.port)
    executor = await open_grpc(allow=["orders.example.com"])
    payload = {"target": f"orders.example.com:{target.port}", "method": METHOD}
    for _ in range(2):
        await run(executor, payload)

    assert (len(target.seen), len(other.seen), len(asked)) == (1, 1, 2)


async def test_a_name_that_cannot_be_resolved_may_be_tried_again(open_grpc, run, answer_names):
    answer_names(socket.gaierror(socket.EAI_AGAIN, "try again"))
    with pytest.raises(TaskFailed, match=r"'orders\.example\.com' cannot be resolved") as failed:
        await run(await open_grpc(), {"target": "orders.example.com:443", "method": METHOD})

    assert (failed.value.code, failed.value.retryable) == ("unavailable", True)


# --- plain text ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("allow", "more", "refused"),
    [
        ([], {"tls": {"enabled": False}}, True),
        (["orders.example.com"], {"tls": {"enabled": False}}, True),
        ([], {"plaintext": True}, True),
        (["other.example.com", "10.0.0.0/8"], {"plaintext": True}, True),
        (["orders.example.com"], {"plaintext": True}, False),
        (["*.example.com"], {"plaintext": True}, False),
        (["93.184.216.34"], {"plaintext": True}, False),
    ],
)
async def test_plain_text_leaves_the_host_only_to_listed_targets_and_when_asked_for(
    allow, more, refused, open_grpc, run, make_context, answer_names, monkeypatch
):
    answer_names(["93.184.216.34"])
    executor = await open_grpc(allow=allow)
    reached = []

    def borrow(endpoint):
        reached.append(endpoint)
        raise ConnectionError("not in a test")

    monkeypatch.setattr(executor._channels, "borrow", borrow)
    payload = {"target": "orders.example.com:50051", "method": METHOD, **more}
    with pytest.raises(TaskFailed if refused else ConnectionError) as failed:
        await run(executor, payload)

    if refused:
        assert (failed.value.code, failed.value.retryable) == ("tls_required", False)
        assert "executors.grpc.allow" in failed.value.message
        assert reached == []
    else:
        assert [(endpoint.address, endpoint.secure) for endpoint in reached] == [
            ("ipv4:93.184.216.34:50051", False)
        ]


async def test_a_remote_target_is_called_with_tls_when_nothing_is_said(
    open_grpc, run, answer_names, monkeypatch
):
    answer_names(["93.184.216.34", "93.184.216.35"])
    executor = await open_grpc(allow=[])
    reached = []

    def borrow(endpoint):
        reached.append(endpoint)
        raise ConnectionError("not in a test")

    monkeypatch.setattr(executor._channels, "borrow", borrow)
    with pytest.raises(ConnectionError):
        await run(executor, {"target": "orders.example.com:443", "method": METHOD})

    (endpoint,) = reached
    assert endpoint.secure
    assert endpoint.server_name == "orders.example.com"
    assert endpoint.address == "ipv4:93.184.216.34:443,93.184.216.35:443"


# --- TLS ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture
def tls_dir(tmp_path, authority):
    """A directory with the authority's certificate and a client's."""
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    trustme.CA().cert_pem.write_to_path(tmp_path / "other.pem")
    client = authority.issue_cert("client.internal")
    client.cert_chain_pems[0].write_to_path(tmp_path / "client.pem")
    client.private_key_pem.write_to_path(tmp_path / "client.key")
    (tmp_path / "text.pem").write_text("no certificate")
    return tmp_path


def ipv6_works():
    with socket.socket(socket.AF_INET6) as probe:
        return probe.connect_ex(("::1", 1)) != errno.EADDRNOTAVAIL


@pytest.fixture
def start_secure(start_target, authority):
    async def start(*names, client_auth=False, **settings):
        cert = authority.issue_cert(*names)
        pair = (cert.private_key_pem.bytes(), cert.cert_chain_pems[0].bytes())
        credentials = grpc.ssl_server_credentials(
            [pair],
            root_certificates=authority.cert_pem.bytes() if client_auth else None,
            require_client_auth=client_auth,
        )
        return await start_target(credentials=credentials, **settings)

    return start


async def test_a_certificate_is_checked_against_the_name_although_an_address_is_called(
    start_secure, open_grpc, run, tls_dir
):
    target = await start_secure("localhost")
    executor = await open_grpc(tls_dir=str(tls_dir))

    result = await run(executor, payload_for(target, tls={"ca_file": "ca.pem"}))

    assert result.code == "OK"


@pytest.mark.parametrize("ip", ["127.0.0.1", "::1"])
async def test_a_certificate_may_be_that_of_an_address(ip, start_secure, open_grpc, run, tls_dir):
    if ip == "::1" and not ipv6_works():
        pytest.skip("this machine has no IPv6 on loopback")
    host = f"[{ip}]" if ":" in ip else ip
    target = await start_secure(ip, host=host)
    executor = await open_grpc(tls_dir=str(tls_dir), allow=[ip])
    payload = {"target": f"{host}:{target.port}", "method": METHOD, "tls": {"ca_file": "ca.pem"}}

    assert (await run(executor, payload)).code == "OK"


async def test_a_server_name_of_its_own_may_be_given(start_secure, open_grpc, run, tls_dir):
    target = await start_secure("orders.internal")
    executor = await open_grpc(tls_dir=str(tls_dir))
    tls = {"ca_file": "ca.pem", "server_name": "orders.internal"}

    assert (await run(executor, payload_for(target, tls=tls))).code == "OK"
    with pytest.raises(TaskFailed) as failed:
        await run(executor, payload_for(target, tls={"ca_file": "ca.pem"}))
    assert failed.value.code == "unavailable"
    assert len(target.seen) == 1


@pytest.mark.parametrize("tls", [{}, {"ca_file": "other.pem"}])
async def test_a_certificate_of_an_unknown_authority_is_refused(
    tls, start_secure, open_grpc, run, tls_dir
):
    target = await start_secure("localhost")
    with pytest.raises(TaskFailed) as failed:
        await run(await open_grpc(tls_dir=str(tls_dir)), payload_for(target, tls=tls))

    assert failed.value.code == "unavailable"
    assert target.seen == []


async def test_an_authority_that_is_replaced_on_disk_is_noticed(
    start_secure, open_grpc, run, tls_dir
):
    target = await start_secure("localhost")
    executor = await open_grpc(tls_dir=str(tls_dir))
    payload = payload_for(target, tls={"ca_file": "ca.pem"})
    await run(executor, payload)
    (tls_dir / "ca.pem").write_bytes((tls_dir / "other.pem").read_bytes())

    with pytest.raises(TaskFailed) as failed:
        await run(executor, payload)
    assert failed.value.code == "unavailable"


async def test_a_client_certificate_is_shown_where_it_is_asked_for(
    start_secure, open_grpc, run, tls_dir
):
    target = await start_secure("localhost", client_auth=True)
    names = []

    async def note_client(request, context):
        names.extend(context.peer_identities() or ())
        return await target.echo(request, context)

    target.behaviour = note_client
    executor = await open_grpc(tls_dir=str(tls_dir))
    with pytest.raises(TaskFailed) as failed:
        await run(executor, payload_for(target, tls={"ca_file": "ca.pem"}))
    assert failed.value.code == "unavailable"

    tls = {"ca_file": "ca.pem", "cert_file": "client.pem", "key_file": "client.key"}
    await run(executor, payload_for(target, tls=tls))
    assert names == [b"client.internal"]


@pytest.mark.parametrize(
    ("tls_option", "file", "words"),
    [
        (False, "ca.pem", r"set executors\.grpc\.tls_dir"),
        (True, "none.pem", "no file 'none.pem'"),
        (True, "text.pem", "not a PEM file"),
    ],
)
async def test_a_tls_file_that_cannot_be_used_is_named(
    tls_option, file, words, target, open_grpc, run, tls_dir
):
    executor = await open_grpc(**({"tls_dir": str(tls_dir)} if tls_option else {}))
    with pytest.raises(TaskFailed, match=words) as failed:
        await run(executor, payload_for(target, tls={"ca_file": file}))

    assert (failed.value.code, failed.value.retryable) == ("invalid_payload", False)


async def test_closing_the_executor_leaves_no_channel_open(target, open_grpc, run):
    executor = await open_grpc()
    await asyncio.gather(*(run(executor, payload_for(target)) for _ in range(3)))
    assert len(executor._channels) == 1

    await executor.close()
    assert len(executor._channels) == 0
