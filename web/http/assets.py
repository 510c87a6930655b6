"""Our own style sheets, scripts and icons, served under a path that carries the hash of their content.

One hash over the whole tree: modules import each other by relative paths and stay together, a browser may
keep them for a year, and a new version is a new path.
"""

from __future__ import annotations

import hashlib
import mimetypes
from collections.abc import Mapping
from pathlib import Path

from starlette.responses import Response

from web.http.compression import compress

STATIC = Path(__file__).parents[1] / "static"
_KEPT_FOR = "public, max-age=31536000, immutable"
_TYPES = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}


class Assets:
    """Read once at start, with what is `made` then (catalogues for the scripts): a few dozen kilobytes, and a request
    touches no disk and can name no path of the disk.
    """

    def __init__(self, folder: Path = STATIC, made: Mapping[str, bytes] | None = None) -> None:
        self._files = {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        } | dict(made or {})
        digest = hashlib.sha256()
        for name, content in self._files.items():
            digest.update(name.encode() + b"\0" + content + b"\0")
        self.version = digest.hexdigest()[:12]
        self._packed = {
            name: packed
            for name, content in self._files.items()
            if Path(name).suffix in _TYPES and len(packed := compress(content)) < len(content)
        }

    def url(self, name: str) -> str:
        """The path of an asset. Raises KeyError for one that does not exist: a template's mistake."""
        if name not in self._files:
            raise KeyError(name)
        return f"/static/{self.version}/{name}"

    def text(self, name: str) -> str:
        """An asset's content, to be put into a page."""
        return self._files[name].decode()

    def answer(self, version: str, name: str, *, gzipped: bool = False) -> Response:
        """The asset. An old version's path gets today's content, uncached: a page open during an update
        still works.
        """
        content = self._files.get(name)
        if content is None:
            return Response("No such file.", status_code=404, media_type="text/plain")
        suffix = Path(name).suffix
        kind = _TYPES.get(suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
        cache = _KEPT_FOR if version == self.version else "no-cache"
        headers = {"Cache-Control": cache}
        if name in self._packed:
            headers["Vary"] = "Accept-Encoding"
            if gzipped:
                headers["Content-Encoding"] = "gzip"
                content = self._packed[name]
        return Response(content, media_type=kind, headers=headers)
