"""Response bombs: what is read, inflated and kept has a bound, and none of them is exceeded."""

import asyncio
import gzip
import json
import tracemalloc
import zlib

import pytest
from aiohttp import web

from dsched.contracts import TaskFailed
from dsched.model.json import check_json

MIB = 1024 * 1024


def gzip_bomb(megabytes: int) -> bytes:
    """A gzip stream of so many MiB of zeros, about a thousandth of that long."""
    deflater = zlib.compressobj(9, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    piece = bytes(MIB)
    return b"".join([*(deflater.compress(piece) for _ in range(megabytes)), deflater.flush()])


async def test_a_gzip_bomb_is_inflated_no_further_than_the_bound(serve, run) -> None:
    bomb = gzip_bomb(256)

    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=bomb, headers={"Content-Encoding": "gzip"})

    url = await serve(answer)
    tracemalloc.start()
    try:
        result = await run({"url": url})
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert result.code == "200"
    assert result.data["truncated"] is True
    assert peak < 30 * MIB


async def test_an_endless_body_is_cut_and_its_connection_closed(serve_raw, run) -> None:
    closed = asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n")
        try:
            while True:
                writer.write(b"x" * 65536)
                await writer.drain()
        except ConnectionError:
            closed.set()
        writer.close()

    result = await run({"url": await serve_raw(handle)}, options={"max_response_bytes": 100_000})
    await asyncio.wait_for(closed.wait(), 5)

    assert result.data["body"] == "x" * 100_000
    assert result.data["truncated"] is True


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize(("size", "truncated"), [(5000, False), (5001, True)])
async def test_the_bound_is_exact(serve, run, chunked, size, truncated) -> None:
    async def answer(request: web.Request) -> web.Response:
        response = web.Response(text="y" * size)
        if chunked:
            response.enable_chunked_encoding()
        return response

    result = await run({"url": await serve(answer)}, options={"max_response_bytes": 5000})

    assert result.data["body"] == "y" * 5000
    assert result.data["truncated"] is truncated


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "deflate", "raw deflate"])
async def test_a_compressed_body_is_read(serve, run, encoding) -> None:
    content = json.dumps({"rows": list(range(500))}).encode()
    raw = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    body = {
        "gzip": gzip.compress(content),
        "x-gzip": gzip.compress(content),
        "deflate": zlib.compress(content),
        "raw deflate": raw.compress(content) + raw.flush(),
    }[encoding]

    async def answer(request: web.Request) -> web.Response:
        assert request.headers["Accept-Encoding"] == "gzip, deflate"
        return web.Response(
            body=body,
            content_type="application/json",
            headers={"Content-Encoding": encoding.removeprefix("raw ")},
        )

    result = await run({"url": await serve(answer)})

    assert result.data["body"] == {"rows": list(range(500))}
    assert result.data["truncated"] is False


async def test_a_body_in_an_encoding_nobody_asked_for_is_not_kept(serve, run) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=b"\x1b\x00", headers={"Content-Encoding": "br"})

    result = await run({"url": await serve(answer)})

    assert (result.data["body"], result.data["truncated"]) == (None, True)


@pytest.mark.parametrize(
    "body",
    [
        "not json",
        "",
        "NaN",
        '{"a": Infinity}',
        "[" * 5000,
        "[" * 70 + "]" * 70,
        '"\\ud800"',
        '{"a":1',
        "1" * 5000,
        "[1e999]",
        "1 2",
        "{} {}",
        " \n",
        "\x0c1",
    ],
    ids=lambda body: body[:10],
)
async def test_json_that_no_result_can_carry_is_kept_as_text(serve, run, body) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(text=body, content_type="application/json")

    result = await run({"url": await serve(answer)})

    assert result.data["body"] == (body or None)
    check_json(result.data, "result")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
@pytest.mark.parametrize("value", [{"done": True}, {"of": "Bücher"}, 7])
async def test_json_is_read_in_each_encoding_that_json_may_have(
    serve, run, encoding, value
) -> None:
    async def answer(request: web.Request) -> web.Response:
        text = f" \r\n\t{json.dumps(value, ensure_ascii=False)}\n"
        return web.Response(body=text.encode(encoding), content_type="application/json")

    assert (await run({"url": await serve(answer)})).data["body"] == value


@pytest.mark.parametrize(
    ("content", "content_type"),
    [
        (b"\x00" * 900_000, "text/plain"),
        ("ü".encode() * 400_000, "text/plain"),
        (b"\xff" * 900_000, "application/octet-stream"),
        (json.dumps(["x"] * 100_000).encode(), "application/json"),
        (json.dumps("\x01" * 100_000).encode(), "application/json"),
    ],
)
async def test_whatever_the_body_a_result_stays_within_its_bound(
    serve, run, content, content_type
) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=content, content_type=content_type)

    result = await run({"url": await serve(answer)}, options={"max_result_bytes": 10_000})

    assert result.data["truncated"] is True
    assert isinstance(result.data["body"], str)
    assert len(check_json(result.data["body"], "body", 10_000).encode()) > 9_000


async def test_json_that_would_grow_beyond_the_bound_is_kept_as_text(serve, run) -> None:
    content = "[" + "9e15," * 1600 + "1]"  # 8 kB, and 30 kB once written as dsched writes it

    async def answer(request: web.Request) -> web.Response:
        return web.Response(text=content, content_type="application/json")

    result = await run({"url": await serve(answer)}, options={"max_result_bytes": 10_000})

    assert (result.data["body"], result.data["truncated"]) == (content, False)


@pytest.mark.parametrize(
    ("charset", "text"),
    [("iso-8859-1", "Größe"), ("utf-16", "Größe"), ("gbk", "任务"), ("utf-8", "任务")],
)
async def test_text_is_decoded_by_its_charset(serve, run, charset, text) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(
            body=text.encode(charset), headers={"Content-Type": f"text/plain; charset={charset}"}
        )

    assert (await run({"url": await serve(answer)})).data["body"] == text


@pytest.mark.parametrize("charset", ["zlib_codec", "rot13", "unicode_escape", "idna", "nonsense"])
async def test_a_charset_that_is_none_is_read_as_utf_8(serve, run, charset) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(
            body=rb"a\x41", headers={"Content-Type": f"text/plain; charset={charset}"}
        )

    assert (await run({"url": await serve(answer)})).data["body"] == r"a\x41"


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nX-Big: " + b"x" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 " + b"O" * 100_000 + b"\r\n\r\n",
    ],
)
async def test_headers_that_are_too_large_fail_for_good(serve_raw, run, head) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head)
        writer.close()
        await writer.wait_closed()

    with pytest.raises(TaskFailed, match="larger than allowed") as failure:
        await run({"url": await serve_raw(handle), "method": "POST"})

    assert (failure.value.code, failure.value.retryable) == ("too_large", False)


async def test_a_failures_body_is_bounded_too(serve, run) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=500, text="e" * 50_000)

    with pytest.raises(TaskFailed) as failure:
        await run({"url": await serve(answer)}, options={"max_result_bytes": 2000})

    assert failure.value.data["truncated"] is True
    assert len(failure.value.data["body"]) <= 2000
