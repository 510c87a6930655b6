"""The routes of an application, as the tests of every page and of every door read them."""

from __future__ import annotations

import re
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
    """Method and address of everything that the application answers, its parameters by name alone."""
    return {(method, _TYPE.sub("}", pattern)) for method, pattern in list_patterns(app)}


def list_patterns(app: FastAPI) -> list[tuple[str, str]]:
    """The same, once for each route, as it is written: a parameter carries its type."""
    return list(_walk(app.routes))


_TYPE = re.compile(r":(?!path)\w+\}")


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
