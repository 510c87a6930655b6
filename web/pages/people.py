"""People: contacts, companies and leads; what do we know of them? The list, and each one's facts beside its timeline."""

from __future__ import annotations

from fastapi import APIRouter

router = APIRouter(include_in_schema=False)
