"""How a value that is being typed is understood, beside its field: `12 000,50 ₽`, or why it is none."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import JSONResponse

from telephony.errors import PeerMistake
from web.auth.access import ANYONE_SIGNED_IN, Viewer, guard
from web.forms.date_fields import Toward, describe_date, read_date
from web.languages.errors import translate_sentence
from web.presenters.money import money, read_amount
from web.site import site_of

router = APIRouter(include_in_schema=False)


@router.get("/form-echo/amount")
async def amount(
    request: Request,
    _viewer: Annotated[Viewer, Depends(guard(ANYONE_SIGNED_IN))],
    text: Annotated[str, Query(max_length=200)] = "",
) -> JSONResponse:
    """A sum."""
    region = site_of(request).settings.region
    return _echo(lambda: money(read_amount(text, region), None, region))


@router.get("/form-echo/due")
async def due(
    request: Request,
    _viewer: Annotated[Viewer, Depends(guard(ANYONE_SIGNED_IN))],
    text: Annotated[str, Query(max_length=200)] = "",
) -> JSONResponse:
    """A day ahead."""
    settings = site_of(request).settings
    today = datetime.now(settings.time_zone).date()
    return _echo(lambda: describe_date(read_date(text, settings.region, today=today, toward=Toward.AHEAD)))


def _echo(understand: Callable[[], str]) -> JSONResponse:
    try:
        return JSONResponse({"text": understand()})
    except PeerMistake as mistake:
        return JSONResponse({"problem": translate_sentence(mistake)})
