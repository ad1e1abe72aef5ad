"""Pages for people: files below /NAME/, addressed by their content, gzipped once, under one strict
CSP."""

import gzip
import hashlib
import logging
import mimetypes
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import attrs
from aiohttp import web

from dsched.contracts import Pages
from dsched_api_http.problems import Problem

_log = logging.getLogger(__name__)

INDEX = "index.html"
MAX_FILES = 1000
MAX_BYTES = 16 * 1024 * 1024
# What the API itself answers at the root.
TAKEN = frozenset({"api", "livez", "readyz", "metrics"})
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
)
IMMUTABLE = "public, max-age=31536000, immutable"

_ASSET = re.compile(r"-/([0-9a-f]{16})/(.+)")
_OWN = re.compile(r'((?:href|src)=")\./')
_TYPES = {".js": "text/javascript", ".svg": "image/svg+xml", ".css": "text/css"}


@attrs.frozen(kw_only=True)
class File:
    """A file as it is sent."""

    content_type: str
    plain: bytes
    zipped: bytes


@attrs.frozen(kw_only=True)
class Edition:
    """All files of a folder as they were at one time; ``name`` stands for exactly them."""

    name: str
    files: Mapping[str, File]
    seen: tuple[tuple[str, int, int], ...]


class Site:
    """The pages of one plugin. ``prefix`` is the path that a proxy takes away before it asks."""

    def __init__(self, pages: Pages, *, prefix: str = "") -> None:
        self.name = pages.name
        self._folder = pages.folder
        self._prefix = prefix
        self._edition = _read(pages.folder)

    @property
    def root(self) -> str:
        """Where it begins, as the pod is asked."""
        return f"/{self.name}/"

    async def answer(self, request: web.Request) -> web.Response:
        """A file by its address; `INDEX` for every path that names none."""
        found = _ASSET.fullmatch(request.match_info["tail"])
        if found is None:
            return self._index(request)
        file = self._edition.files.get(found[2])
        if file is None or found[2] == INDEX:
            raise Problem("not_found", "there is no such file")
        # While pods of two versions serve one address, a browser may ask one pod for a file that
        # the other named. It gets this pod's file, which no cache may keep.
        same = found[1] == self._edition.name
        return _sent(request, file, cache=IMMUTABLE if same else "no-store")

    async def enter(self, request: web.Request) -> web.Response:
        """The root without its slash."""
        del request
        return web.Response(status=308, headers={"Location": f"{self._prefix}{self.root}"})

    def _index(self, request: web.Request) -> web.Response:
        if _seen(self._folder) != self._edition.seen:  # somebody works on the pages
            self._edition = _read(self._folder)
        page = self._edition.files[INDEX]
        base = f"{self._prefix}{self.root}-/{self._edition.name}/"
        text = _OWN.sub(rf"\g<1>{base}", page.plain.decode())
        return _sent(request, _file(INDEX, text.encode()), cache="no-cache")


def sites_of(pages: Iterable[Pages], *, prefix: str) -> tuple[Site, ...]:
    """The sites that can be served; one that cannot is logged, and the others are served."""
    found = []
    for one in pages:
        if one.name in TAKEN:
            _log.error("the pages %r stay off: the API answers at /%s itself", one.name, one.name)
            continue
        try:
            found.append(Site(one, prefix=prefix))
        except (OSError, ValueError) as error:
            _log.error("the pages %r stay off: %s; install them anew", one.name, error)
    return tuple(found)


def _seen(folder: Path) -> tuple[tuple[str, int, int], ...]:
    """What tells whether a file has changed, without reading any."""
    found = []
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.name.startswith("."):
            stat = path.stat()
            found.append((path.relative_to(folder).as_posix(), stat.st_size, stat.st_mtime_ns))
    return tuple(found)


def _read(folder: Path) -> Edition:
    seen = _seen(folder)
    if len(seen) > MAX_FILES or sum(size for _, size, _ in seen) > MAX_BYTES:
        raise ValueError(f"{folder} holds more than {MAX_FILES} files or {MAX_BYTES} bytes")
    files = {name: _file(name, (folder / name).read_bytes()) for name, _, _ in seen}
    if INDEX not in files:
        raise ValueError(f"{folder} has no {INDEX}")
    digest = hashlib.sha256()
    for name, file in files.items():
        digest.update(f"{name}\0{len(file.plain)}\0".encode() + file.plain)
    return Edition(name=digest.hexdigest()[:16], files=files, seen=seen)


def _file(name: str, content: bytes) -> File:
    suffix = Path(name).suffix
    kind = _TYPES.get(suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
    text = kind.startswith("text/") or kind == "image/svg+xml"
    return File(
        content_type=f"{kind}; charset=utf-8" if text else kind,
        plain=content,
        zipped=gzip.compress(content, 9, mtime=0) if text else b"",
    )


def _sent(request: web.Request, file: File, *, cache: str) -> web.Response:
    headers = {
        "Content-Type": file.content_type,
        "Content-Security-Policy": CSP,
        "Cache-Control": cache,
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Vary": "Accept-Encoding",
    }
    body = file.plain
    if file.zipped and "gzip" in request.headers.get("Accept-Encoding", ""):
        body = file.zipped
        headers["Content-Encoding"] = "gzip"
    return web.Response(body=body, headers=headers)
