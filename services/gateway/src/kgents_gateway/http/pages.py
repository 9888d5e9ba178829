"""The web view as it was built (`make web`) → responses. Whole in memory, compressed once; what is missing is said."""

import asyncio
import html
import mimetypes
from hashlib import blake2b
from pathlib import Path
from typing import Final

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from kgents_gateway.cache import WORTH_COMPRESSING, Kept, accepted

BUILT: Final = Path(__file__).parent.parent / "web"
"""Where the build puts it, and where the wheel has it."""
WHY_MISSING: Final = BUILT.with_suffix(".txt")
"""A sentence of the build that runs, or that failed."""
INDEX: Final = "index.html"

HEADERS: Final = {"vary": "accept-encoding"}
_REFRESH_S: Final = 3
_TYPES: Final = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8"}
"""Not left to the machine's own table, which may call scripts plain text."""


class _File(msgspec.Struct, frozen=True):
    """One built file."""

    kept: Kept
    media_type: str


class Pages:
    """The built files. A build that ends while the gateway runs is served from the next request on."""

    def __init__(self, folder: Path = BUILT) -> None:
        self._folder = folder
        self._files: dict[str, _File] = {}
        self._version: int | None = None
        self._reading = asyncio.Lock()

    async def index(self, request: Request) -> Response:
        """The page."""
        async with self._reading:
            if (version := await asyncio.to_thread(_version, self._folder)) != self._version:
                self._files = await asyncio.to_thread(_read, self._folder)
                self._version = version
        if (found := self._files.get(INDEX)) is None:
            return _missing()
        etag = f'W/"{found.kept.tag}"'
        headers = {**HEADERS, "cache-control": "no-cache", "etag": etag}
        if etag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return await _response(request, found, headers)

    async def asset(self, request: Request) -> Response:
        """A script, a style, an image: its name holds the hash of its content, so it never changes."""
        if not self._files:
            await self.index(request)
        if (found := self._files.get(f"assets/{request.path_params['name']}")) is None:
            raise HTTPException(404)
        return await _response(request, found, {**HEADERS, "cache-control": "public, max-age=31536000, immutable"})


def _version(folder: Path) -> int | None:
    """When it was built; None: it is not."""
    try:
        return (folder / INDEX).stat().st_mtime_ns
    except OSError:
        return None


def _read(folder: Path) -> dict[str, _File]:
    found: dict[str, _File] = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            body = path.read_bytes()
            kind = _TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
            name = path.relative_to(folder).as_posix()
            found[name] = _File(Kept(blake2b(body, digest_size=8).hexdigest(), body), kind)
    return found


async def _response(request: Request, found: _File, headers: dict[str, str]) -> Response:
    body = found.kept.body
    encoding = accepted(request.headers.get("accept-encoding", "")) if len(body) >= WORTH_COMPRESSING else ""
    if encoding:
        body, headers["content-encoding"] = await found.kept.encoded(encoding), encoding
    return Response(body, headers=headers, media_type=found.media_type)


def _missing() -> Response:
    try:
        why = WHY_MISSING.read_text()
    except OSError:
        why = "The web view is not built. Try: make web"
    page = (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>kgents</title>'
        '<link rel="icon" href="data:,"><h1>kgents</h1>'
        f'<p>{html.escape(why)}</p><p>The API answers: <a href="api/v1/health">health</a>, '
        '<a href="api/openapi.json">its description</a>.</p></html>'
    )
    headers = {**HEADERS, "cache-control": "no-store", "retry-after": str(_REFRESH_S), "refresh": str(_REFRESH_S)}
    return Response(page, 503, headers, "text/html; charset=utf-8")
