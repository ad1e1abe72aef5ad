"""The guard: no spelling of a host, no name and no redirect leads to where it must not."""

import asyncio
import socket

import pytest
from aiohttp import web
from yarl import URL

from dsched.contracts import TaskFailed
from dsched_executor_http.url import UrlProblemError, parse_url

# Every one of these reaches 127.0.0.1, another inner address, or nothing, in some client.
INNER_LITERALS = [
    *("127.0.0.1", "127.0.0.2", "127.255.255.255", "127.0.0.1.", "0.0.0.0", "0.0.0.1"),
    *("10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.255", "192.168.0.1"),
    *("192.168.255.255", "169.254.0.1", "169.254.169.254", "169.254.170.2", "100.64.0.1"),
    *("100.100.100.200", "100.127.255.255", "192.0.0.1", "192.0.0.192", "192.0.2.1"),
    *("198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1", "192.88.99.1"),
    *("224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", "168.63.129.16"),
    *("[::]", "[::1]", "[0:0:0:0:0:0:0:1]", "[0000::0001]", "[::127.0.0.1]"),
    *("[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::FFFF:10.0.0.1]", "[::ffff:169.254.169.254]"),
    *("[::ffff:0:127.0.0.1]", "[64:ff9b::127.0.0.1]", "[64:ff9b::7f00:1]", "[64:ff9b:1::1]"),
    *("[2002:7f00:1::]", "[2002:a9fe:a9fe::1]", "[2001:0:7f00:1::1]", "[2001::1]"),
    *("[fe80::1]", "[febf::1]", "[fec0::1]", "[fc00::1]", "[fd00::1]", "[fd00:ec2::254]"),
    *("[fd20:ce::254]", "[ff02::1]", "[ff0e::1]", "[2001:db8::1]", "[3fff::1]", "[100::1]"),
    *("[5f00::1]", "[4000::1]", "[e000::1]", "[2001:10::1]", "[2001:20::1]", "[2001:2::1]"),
]
OTHER_SPELLINGS = [
    *("2130706433", "0x7f000001", "0X7F000001", "017700000001", "0", "1", "127.1", "127.0.1"),
    *("0177.0.0.1", "0x7f.0.0.1", "0x7f.1", "127.0.0.01", "127.0.0.0x1", "00127.0.0.1"),
    *("127.0.0.256", "127.0.0.1.1", "4294967295", "3232235777", "0xa9fea9fe", "2852039166"),
    *("0251.0376.0251.0376", "169.254.43518", "0x", "1.2.3", "256.256.256.256", "127.0.0.1.0x7f"),
    *("１２７.0.0.1", "127。0。0。1", "①②⑦.⓪.⓪.①", "ⓛocalhost", "localhost\u200b", "𝟏27.0.0.1"),
    *("%6c%6f%63alhost", "127%2e0%2e0%2e1", "localhost%00.example.com", "[::1%25eth0]"),
    *("[fe80::1%eth0]", "[127.0.0.1]", "[::1", "::1", "[]", "[v1.x]", "[::1]x", "a..b", ".a", "-a"),
    *("a_b.-c", "a b", "a\tb", "a\nb", "a\x00b", "a\\b", "a,b", "a;b", "a'b", "<a>", "*", "a" * 64),
    *("user@127.0.0.1", "user:pw@example.com", "example.com@127.0.0.1", "@", "a@b@c"),
]
WHOLE_URLS = [
    *("", "example.com", "//example.com/", "/path", "http:", "http:/", "http://", "http:///x"),
    *("http:example.com", "http:/example.com", "file:///etc/passwd", "file://localhost/etc/passwd"),
    *("gopher://127.0.0.1:6379/_INFO", "ftp://example.com/", "dict://127.0.0.1:11211/stat"),
    *("ldap://127.0.0.1/", "javascript:alert(1)", "data:text/plain,x", "unix:///run/docker.sock"),
    *("http+unix://%2Frun%2Fdocker.sock/", "jar:http://example.com!/", "ws://example.com/"),
    *("http://example.com:0/", "http://example.com:65536/", "http://example.com:/"),
    *("http://example.com:http/", "http://example.com:-1/", "http://example.com:8 0/"),
    *("http://example.com:80:80/", "http://example.com\\@127.0.0.1/", "http://a\r\nHost: b/"),
    *("http://example.com/a b", "http://example.com/\r\nX: y", "http://example.com/\x00"),
    *("http://?x", "http://#x", "http://:80/", "\thttp://example.com/", " http://example.com/"),
    *("http://example.com/\ud800", "http://example.com/" + "a" * 9000, "http://ex\u00e4mple.com/"),
]


def test_the_tables_have_no_gaps() -> None:
    assert len({*INNER_LITERALS, *OTHER_SPELLINGS, *WHOLE_URLS}) >= 120


@pytest.fixture
async def nobody_asked(open_executor):
    """An executor that allows nothing, whose resolver must not be asked."""

    async def lookup(host: str, port: int) -> list[tuple[int, str]]:
        raise AssertionError(f"asked for {host}")

    return await open_executor({"allow": []}, lookup=lookup)


@pytest.mark.parametrize("host", INNER_LITERALS)
async def test_an_inner_address_is_refused_for_good(run, nobody_asked, host) -> None:
    with pytest.raises(TaskFailed, match=r"executors: \{http: \{allow:") as failure:
        await run({"url": f"http://{host}:8080/"}, executor=nobody_asked)

    assert (failure.value.code, failure.value.retryable) == ("refused", False)


@pytest.mark.parametrize("host", OTHER_SPELLINGS)
async def test_no_other_spelling_of_a_host_is_accepted(run, nobody_asked, host) -> None:
    with pytest.raises(TaskFailed, match="url: ") as failure:
        await run({"url": f"http://{host}/"}, executor=nobody_asked)

    assert (failure.value.code, failure.value.retryable) == ("payload", False)


@pytest.mark.parametrize("url", WHOLE_URLS)
def test_only_absolute_http_urls_of_one_meaning_are_accepted(url) -> None:
    with pytest.raises(UrlProblemError):
        parse_url(url)


@pytest.mark.parametrize(
    ("url", "host", "port", "target"),
    [
        ("http://example.com", "example.com", 80, "/"),
        ("HTTPS://Example.COM:8443/A?b=C#d", "example.com", 8443, "/A?b=C"),
        ("https://example.com?x=1", "example.com", 443, "/?x=1"),
        ("http://my_service:1/", "my_service", 1, "/"),
        ("http://example.com./", "example.com.", 80, "/"),
        ("http://8.8.8.8/", "8.8.8.8", 80, "/"),
        ("http://[2606:4700:0:0::1111]:80/", "2606:4700::1111", 80, "/"),
        ("http://xn--exmple-cua.com/", "xn--exmple-cua.com", 80, "/"),
        ("http://1.example/", "1.example", 80, "/"),
        ("http://0x7f.example/", "0x7f.example", 80, "/"),
        ("http://a/@b:c?u=http://x@y", "a", 80, "/@b:c?u=http://x@y"),
        ('http://a/%7e%2F..//ü"<|>', "a", 80, "/%7e%2F..//%C3%BC%22%3C%7C%3E"),
    ],
)
def test_a_good_url_means_the_same_to_us_and_to_the_client(url, host, port, target) -> None:
    parsed = parse_url(url)
    theirs = URL(parsed.text, encoded=True)

    assert (host, port, target) == (parsed.host, parsed.port, parsed.target)
    assert (host, port, target) == (theirs.raw_host, theirs.port, theirs.raw_path_qs)
    assert theirs.raw_user is None


def connections(seen: list[str]):  # type: ignore[no-untyped-def]
    """A raw handler that notes each connection and answers 200."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append("connected")
        await reader.read(1)
        writer.close()
        await writer.wait_closed()

    return handle


async def test_a_name_that_resolves_inwards_is_never_connected_to(
    serve_raw, run, open_executor
) -> None:
    seen: list[str] = []
    port = URL(await serve_raw(connections(seen))).port

    with pytest.raises(TaskFailed, match="loopback") as failure:
        await run({"url": f"http://localhost:{port}/"}, options={"allow": []})

    assert (failure.value.code, failure.value.retryable) == ("refused", False)
    assert seen == []


async def test_a_public_address_among_inner_ones_does_not_help(
    serve_raw, run, open_executor
) -> None:
    seen: list[str] = []
    port = URL(await serve_raw(connections(seen))).port

    async def lookup(host: str, port: int) -> list[tuple[int, str]]:
        return [(socket.AF_INET, "127.0.0.2"), (socket.AF_INET, "127.0.0.1")]

    executor = await open_executor({"allow": ["127.0.0.2"]}, lookup=lookup)
    with pytest.raises(TaskFailed, match=r"127\.0\.0\.1") as failure:
        await run({"url": f"http://rebind.example:{port}/"}, executor=executor)

    assert failure.value.code == "refused"
    assert seen == []


async def test_a_name_that_changes_its_mind_is_not_connected_to(
    serve, serve_raw, run, open_executor
) -> None:
    """DNS rebinding: the first answer may be called (127.0.0.2 plays the public address), the
    second is 127.0.0.1, and the page at the first sends the client there."""
    seen: list[str] = []
    inner = URL(await serve_raw(connections(seen))).port

    async def bounce(request: web.Request) -> web.Response:
        raise web.HTTPFound(f"http://rebind.example:{inner}/secret")

    outer = URL(await serve(bounce, host="127.0.0.2")).port
    answers = iter(["127.0.0.2", "127.0.0.1"])

    async def lookup(host: str, port: int) -> list[tuple[int, str]]:
        return [(socket.AF_INET, next(answers))]

    executor = await open_executor({"allow": ["127.0.0.2"]}, lookup=lookup)
    with pytest.raises(TaskFailed, match="loopback") as failure:
        await run(
            {"url": f"http://rebind.example:{outer}/", "follow_redirects": True},
            executor=executor,
        )

    assert failure.value.code == "refused"
    assert next(answers, "none left") == "none left"
    assert seen == []


async def test_the_socket_itself_is_guarded_if_all_else_were_fooled(
    serve_raw, run, open_executor, monkeypatch
) -> None:
    seen: list[str] = []
    port = URL(await serve_raw(connections(seen))).port
    executor = await open_executor({"allow": []})
    monkeypatch.setattr(executor, "_check", lambda host, port: None)

    with pytest.raises(TaskFailed, match="loopback") as failure:
        await run({"url": f"http://127.0.0.1:{port}/"}, executor=executor)

    assert failure.value.code == "refused"
    assert seen == []


async def test_a_literal_is_refused_before_a_connection_is_even_looked_for(
    serve_raw, run, open_executor, monkeypatch
) -> None:
    seen: list[str] = []
    port = URL(await serve_raw(connections(seen))).port
    executor = await open_executor({"allow": []})
    monkeypatch.setattr(executor._session.connector, "_socket_factory", None)

    with pytest.raises(TaskFailed, match="loopback") as failure:
        await run({"url": f"http://127.0.0.1:{port}/"}, executor=executor)

    assert failure.value.code == "refused"
    assert seen == []


async def test_a_name_that_is_allowed_may_lead_inwards(serve, run) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(text=request.headers["Host"])

    url = await serve(answer, shown_host="localhost")
    result = await run({"url": url}, options={"allow": ["localhost"]})

    assert result.data["body"] == URL(url).authority


@pytest.mark.parametrize("allow", ["127.0.0.0/8", "two.example", "*.example"])
async def test_a_name_with_several_allowed_addresses_is_tried_on_each(
    serve, run, open_executor, allow
) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response()

    port = URL(await serve(answer)).port

    async def lookup(host: str, port: int) -> list[tuple[int, str]]:
        return [(socket.AF_INET, "127.0.0.9"), (socket.AF_INET, "127.0.0.1")]

    executor = await open_executor({"allow": [allow]}, lookup=lookup)
    assert (await run({"url": f"http://two.example:{port}/"}, executor=executor)).code == "200"


async def test_only_listed_ports_are_called_if_any_are_listed(serve, run) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response()

    url = await serve(answer)
    with pytest.raises(TaskFailed, match=r"executors\.http\.ports allows only 80, 443") as failure:
        await run({"url": url}, options={"ports": [80, 443]})

    assert (failure.value.code, failure.value.retryable) == ("refused", False)
    assert (await run({"url": url}, options={"ports": [URL(url).port]})).code == "200"
