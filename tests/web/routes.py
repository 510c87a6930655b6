"""The routes of an application, as the tests of every page and of every door read them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from unittest.mock import Mock

from fastapi import FastAPI

from call_records.recordings.ingest.uploads import UploadDesk
from tests.web.conftest import SETTINGS
from tests.web.fakes import FakeLive, FakeRecords, cheap_passwords
from web.app import create_app


def make_app() -> FastAPI:
    """The application with nothing behind it, and with every part that a setting adds."""
    return create_app(
        FakeRecords(), FakeLive(), SETTINGS, passwords=cheap_passwords(), uploads=Mock(UploadDesk)
    )


def list_routes(app: FastAPI) -> set[tuple[str, str]]:
    """Method and address pattern of everything that the application answers."""
    return set(_walk(app.routes))


def _walk(routes: Iterable[object]) -> Iterator[tuple[str, str]]:
    for route in routes:
        inner = getattr(route, "original_router", None)
        if inner is not None:
            yield from _walk(inner.routes)
            continue
        path = str(getattr(route, "path", route))
        # What has no methods (a mounted application, a web socket) is a door, too.
        for method in getattr(route, "methods", None) or (type(route).__name__,):
            yield method, path
