"""Who is signed in in this browser by now: a page that was left open asks before it sends what was typed."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.responses import JSONResponse

from web.auth.access import ANYONE_SIGNED_IN, Viewer, guard

router = APIRouter(include_in_schema=False)


@router.get("/api/v1/session")
async def session_state(viewer: Annotated[Viewer, Depends(guard(ANYONE_SIGNED_IN))]) -> JSONResponse:
    """The account, and the token its forms carry."""
    return JSONResponse({"account": str(viewer.account.id), "csrf": viewer.csrf})
