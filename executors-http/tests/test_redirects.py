"""Redirects: off by default; if asked for, few, checked, and without credentials elsewhere."""

from collections.abc import Mapping

import pytest
from aiohttp import web

from dsched.contracts import TaskFailed


def redirect(status: int, location: str) -> web.Response:
    return web.Response(status=status, headers={"Location": location})


async def test_a_redirect_is_not_followed_unless_asked_and_the_message_says_how(serve, run) -> None:
    asked = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.path)
        return redirect(302, "/elsewhere")

    with pytest.raises(TaskFailed, match="follow_redirects: true") as failure:
        await run({"url": await serve(answer) + "/first"})

    assert (failure.value.code, failure.value.retryable) == ("302", False)
    assert failure.value.data["headers"]["Location"] == "/elsewhere"
    assert asked == ["/first"]


@pytest.mark.parametrize(
    "location",
    [
        *("http://169.254.169.254/latest/meta-data/", "http://[::ffff:169.254.169.254]/"),
        *("http://10.0.0.1/", "http://[::1]:6379/", "//192.168.0.1/", "http://0.0.0.0/"),
    ],
)
async def test_a_redirect_to_an_inner_address_is_refused(serve, run, location) -> None:
    async def answer(request: web.Request) -> web.Response:
        return redirect(302, location)

    with pytest.raises(TaskFailed, match="allow") as failure:
        await run({"url": await serve(answer), "follow_redirects": True})

    assert (failure.value.code, failure.value.retryable) == ("refused", False)


@pytest.mark.parametrize(
    "location",
    [
        *("file:///etc/passwd", "gopher://127.0.0.1:6379/_x", "ftp://example.com/"),
        *("http://2130706433/", "http://a@b/", "http://exa mple.com/", "javascript:x", "http://[/"),
    ],
)
async def test_a_redirect_that_is_no_good_http_url_is_not_followed(serve, run, location) -> None:
    async def answer(request: web.Request) -> web.Response:
        return redirect(302, location)

    with pytest.raises(TaskFailed, match="leads nowhere") as failure:
        await run({"url": await serve(answer), "follow_redirects": True})

    assert (failure.value.code, failure.value.retryable) == ("redirect", False)


async def test_a_redirect_without_a_location_is_a_failure(serve, run) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=302)

    with pytest.raises(TaskFailed, match="names no Location") as failure:
        await run({"url": await serve(answer), "follow_redirects": True})

    assert failure.value.code == "redirect"


@pytest.mark.parametrize(("redirects", "success"), [(1, True), (3, True), (4, False), (99, False)])
async def test_at_most_three_redirects_are_followed(serve, run, redirects, success) -> None:
    asked = 0

    async def answer(request: web.Request) -> web.Response:
        nonlocal asked
        asked += 1
        return redirect(302, f"/{asked}") if asked <= redirects else web.Response(text="there")

    payload = {"url": await serve(answer), "follow_redirects": True}
    if success:
        assert (await run(payload)).data["body"] == "there"
    else:
        with pytest.raises(TaskFailed, match="at most 3") as failure:
            await run(payload)
        assert (failure.value.code, failure.value.retryable) == ("redirect", False)
    assert asked == min(redirects, 3) + 1


@pytest.mark.parametrize(
    ("status", "method", "then", "body"),
    [
        (301, "POST", "GET", ""),
        (302, "POST", "GET", ""),
        (303, "PUT", "GET", ""),
        (302, "PUT", "PUT", "text"),
        (307, "POST", "POST", "text"),
        (308, "POST", "POST", "text"),
    ],
)
async def test_the_method_after_a_redirect_is_that_of_the_rfc(
    serve, run, status, method, then, body
) -> None:
    async def answer(request: web.Request) -> web.Response:
        if request.path == "/first":
            return redirect(status, "/second?x=1")
        return web.Response(text=f"{request.method} {await request.text()}")

    url = await serve(answer) + "/first"
    result = await run({"url": url, "method": method, "body": "text", "follow_redirects": True})

    assert result.data["body"] == f"{then} {body}"


CREDENTIALS = {
    "Authorization": "Bearer t0ken",
    "Cookie": "session=1",
    "X-Api-Key": "k3y",
    "Accept": "text/plain",
}


async def headers_after_redirect(serve, run, location: str | None) -> Mapping[str, str]:  # type: ignore[no-untyped-def]
    seen: dict[str, str] = {}

    async def target(request: web.Request) -> web.Response:
        seen.update(request.headers)
        return web.Response()

    elsewhere = await serve(target)

    async def answer(request: web.Request) -> web.Response:
        if request.path == "/same":
            return await target(request)
        return redirect(307, location or elsewhere)

    await run({"url": await serve(answer), "headers": CREDENTIALS, "follow_redirects": True})
    return seen


async def test_credentials_do_not_follow_to_another_origin(serve, run) -> None:
    seen = await headers_after_redirect(serve, run, None)

    assert {"Authorization", "Cookie", "X-Api-Key"}.isdisjoint(seen)
    assert seen["Accept"] == "text/plain"
    assert seen["Idempotency-Key"] == "report@1700000000123"


async def test_credentials_stay_within_their_origin(serve, run) -> None:
    seen = await headers_after_redirect(serve, run, "/same")

    assert {name: seen[name] for name in CREDENTIALS} == CREDENTIALS


async def test_a_body_with_a_secret_does_not_follow_to_another_origin(
    serve, run, monkeypatch
) -> None:
    monkeypatch.setenv("T_KEY", "canary-5a1f")
    bodies = []

    async def target(request: web.Request) -> web.Response:
        bodies.append(await request.text())
        return web.Response()

    elsewhere = await serve(target)

    async def answer(request: web.Request) -> web.Response:
        return redirect(307, elsewhere)

    with pytest.raises(TaskFailed, match="secrets must not reach") as failure:
        await run(
            {
                "url": await serve(answer),
                "json": {"key": "secret://env/T_KEY"},
                "follow_redirects": True,
            },
            options={"secret_env": ["T_KEY"]},
        )

    assert failure.value.code == "redirect"
    assert bodies == []
