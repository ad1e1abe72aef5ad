"""Where the API listens, and which names and pages may reach it (DNS rebinding, other sites)."""

import socket
from typing import Any

import pytest

from dsched.config import ConfigError
from dsched_api_http.options import ApiOptions


@pytest.mark.parametrize("bind", ["0.0.0.0", "::", "10.1.2.3", "example.com"])
def test_without_authentication_it_listens_on_loopback_only(bind: str) -> None:
    with pytest.raises(ValueError, match="none would let everybody"):
        ApiOptions(auth="none", bind=bind)
    assert ApiOptions(bind=bind).auth == "token"
    for loopback in ("127.0.0.1", "::1", "localhost", "127.8.9.10"):
        assert ApiOptions(auth="none", bind=loopback).bind == loopback


async def test_a_pod_refuses_to_start_open_to_all(serve: Any) -> None:
    with pytest.raises(ConfigError, match="none would let everybody"):
        async with serve(auth="none", bind="0.0.0.0"):
            pass


async def test_without_authentication_whoever_is_on_this_machine_may_do_anything(
    serve: Any,
) -> None:
    async with serve(auth="none") as api:
        assert (await api.using("").ask("GET", "/tokens")).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "evil.example:8700"},
        {"Host": "127.0.0.1.evil.example"},
        {"Host": "10.0.0.1"},
        {"Host": "["},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
@pytest.mark.parametrize("auth", ["token", "none"])
async def test_other_names_and_other_sites_are_refused(
    serve: Any, headers: dict[str, str], auth: str
) -> None:
    async with serve(auth=auth) as api:
        for method, path in (("GET", "/configs"), ("POST", "/tasks"), ("GET", "/events")):
            refused = await api.ask(method, path, {} if method == "POST" else None, headers)
            assert (refused.status, refused.body["code"]) == (403, "forbidden")


async def test_the_names_and_sites_that_are_configured_are_let_in(serve: Any) -> None:
    async with serve(hosts=["sched.example"], origins=["https://console.example"]) as api:
        headers = {"Host": "sched.example", "Origin": "https://console.example"}
        assert (await api.ask("GET", "/configs", None, headers)).status == 200
        headers = {"Host": "sched.example", "Origin": "http://sched.example"}
        assert (await api.ask("GET", "/configs", None, headers)).status == 200
        refused = await api.ask("GET", "/configs", None, {"Host": "other.example"})
        assert refused.status == 403


async def test_a_taken_port_is_a_warning_if_it_is_the_default_and_an_error_if_configured(
    serve: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from dsched_api_http import service

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        monkeypatch.setattr(service, "DEFAULT_PORT", port)
        api = service.ApiService(ApiOptions())
        runner = service.web.AppRunner(service.web.Application())
        await runner.setup()
        try:
            assert not await api._listen(runner)
            assert "api.port" in caplog.text
            chosen = service.ApiService(ApiOptions(port=port))
            with pytest.raises(service.AddressError, match=r"api\.port"):
                await chosen._listen(runner)
        finally:
            await runner.cleanup()


async def test_every_answer_carries_the_headers_that_browsers_heed(api: Any) -> None:
    for who, path in ((api, "/configs"), (api.using(""), "/configs"), (api, "/none")):
        headers = (await who.ask("GET", path)).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert headers["Cache-Control"] == "no-store"
        assert headers["Server"] == "dsched"
