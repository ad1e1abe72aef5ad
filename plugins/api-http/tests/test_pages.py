"""Pages of a plugin: found below their name, addressed by content, under one strict policy."""

import gzip
import re
from pathlib import Path
from typing import Any

import pytest

from dsched.contracts import Pages
from dsched_api_http.options import ApiOptions
from dsched_api_http.pages import sites_of


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "parts").mkdir()
    (tmp_path / "index.html").write_text('<script type="module" src="./main.js"></script>')
    (tmp_path / "main.js").write_text('import "./parts/one.js";\n' * 50)
    (tmp_path / "parts" / "one.js").write_text("export const one = 1;\n")
    (tmp_path / ".hidden").write_text("not for strangers")
    return tmp_path


async def fetched(api: Any, path: str, **headers: str) -> tuple[int, Any, bytes]:
    given = {"Accept-Encoding": "identity", **headers}
    async with api.http.get(api.url + path, headers=given, auto_decompress=False) as answer:
        return answer.status, answer.headers, await answer.read()


async def entry(api: Any, path: str = "/shop/") -> tuple[str, Any]:
    """The address of the entry module that a page names, and the headers of the page."""
    status, headers, body = await fetched(api, path)
    assert status == 200
    found = re.search(r'src="(.+?)"', body.decode())
    assert found is not None
    return found[1], headers


async def test_a_page_is_served_without_a_token_and_its_files_by_their_content(
    serve: Any, folder: Path
) -> None:
    async with serve(pages=folder) as api:
        address, headers = await entry(api)
        assert headers["Content-Type"] == "text/html; charset=utf-8"
        assert headers["Cache-Control"] == "no-cache"
        assert re.fullmatch(r"/shop/-/[0-9a-f]{16}/main\.js", address)
        status, headers, body = await fetched(api, address)
        assert (status, body) == (200, (folder / "main.js").read_bytes())
        assert headers["Content-Type"] == "text/javascript; charset=utf-8"
        assert "immutable" in headers["Cache-Control"]
        status, headers, body = await fetched(api, address, **{"Accept-Encoding": "gzip"})
        assert headers["Content-Encoding"] == "gzip"
        assert gzip.decompress(body) == (folder / "main.js").read_bytes()


async def test_nothing_on_a_page_may_be_inline_or_from_elsewhere(serve: Any, folder: Path) -> None:
    async with serve(pages=folder) as api:
        address, headers = await entry(api)
        policies = {headers["Content-Security-Policy"]}
        policies.add((await fetched(api, address))[1]["Content-Security-Policy"])
        (policy,) = policies
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; ")
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert "http" not in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Server"] == "dsched"


@pytest.mark.parametrize("path", ["/shop/configs/a%2Fb", "/shop/x?q=1", "/shop/%3Cscript%3E"])
async def test_a_path_that_names_no_file_is_the_page(serve: Any, folder: Path, path: str) -> None:
    async with serve(pages=folder) as api:
        assert (await entry(api, path))[0] == (await entry(api))[0]


@pytest.mark.parametrize(
    "path",
    ["../plugin.py", "%2e%2e/plugin.py", "..%2fplugin.py", ".hidden", "none.js", "index.html"],
)
async def test_no_other_file_is_reached(serve: Any, folder: Path, path: str) -> None:
    (folder.parent / "plugin.py").write_text("secret")
    async with serve(pages=folder) as api:
        digest = (await entry(api))[0].split("/")[3]
        status, _, body = await fetched(api, f"/shop/-/{digest}/{path}")
        assert b"secret" not in body
        assert b"strangers" not in body
        assert status == 404 or b"main.js" in body


async def test_a_changed_file_has_another_address_at_the_next_load(
    serve: Any, folder: Path
) -> None:
    async with serve(pages=folder) as api:
        before, _ = await entry(api)
        (folder / "main.js").write_text("changed()")
        after, _ = await entry(api)
        assert after != before
        assert (await fetched(api, after))[2] == b"changed()"
        # By its old address it must not be kept: it is not what that stands for.
        assert (await fetched(api, before))[1]["Cache-Control"] == "no-store"


async def test_behind_a_proxy_every_address_carries_its_prefix(serve: Any, folder: Path) -> None:
    async with serve(pages=folder, prefix="/jobs") as api:
        assert (await entry(api))[0].startswith("/jobs/shop/-/")
        asked = api.http.get(f"{api.url}/shop", allow_redirects=False)
        async with asked as answer:
            assert (answer.status, answer.headers["Location"]) == (308, "/jobs/shop/")


@pytest.mark.parametrize("prefix", ["jobs", "/jobs/", "//evil.example", "/a b", '/"'])
def test_a_prefix_that_is_no_path_is_refused(prefix: str) -> None:
    with pytest.raises(ValueError, match="such as /dsched"):
        ApiOptions(prefix=prefix)


async def test_a_link_of_another_site_may_lead_to_a_page_but_not_to_the_api(
    serve: Any, folder: Path
) -> None:
    async with serve(pages=folder) as api:
        cross = {"Sec-Fetch-Site": "cross-site"}
        assert (await fetched(api, "/shop/tasks/x", **cross))[0] == 200
        assert (await fetched(api, "/api/v1/session", **cross))[0] == 403
        assert (await fetched(api, "/shop/", Host="evil.example"))[0] == 403


async def test_a_page_takes_no_writes(serve: Any, folder: Path) -> None:
    async with serve(pages=folder) as api, api.http.post(f"{api.url}/shop/") as answer:
        assert answer.status == 405


def test_pages_that_cannot_be_served_stay_off_and_keep_nothing_else_away(
    folder: Path, tmp_path_factory: Any, caplog: pytest.LogCaptureFixture
) -> None:
    empty = tmp_path_factory.mktemp("empty")
    pages = [
        Pages(name="api", folder=folder),
        Pages(name="empty", folder=empty),
        Pages(name="gone", folder=empty / "gone"),
        Pages(name="shop", folder=folder),
    ]
    assert [site.name for site in sites_of(pages, prefix="")] == ["shop"]
    assert "the API answers at /api itself" in caplog.text
    assert "no index.html" in caplog.text


async def test_without_pages_the_api_is_as_before(serve: Any) -> None:
    async with serve() as api:
        assert (await fetched(api, "/shop/"))[0] == 404
        assert (await api.ask("GET", "/configs")).status == 200
