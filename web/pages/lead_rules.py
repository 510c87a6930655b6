"""Rules: what a call makes of its caller, as a table, with a try-out; and the blocklist. For administrators."""

from __future__ import annotations

from fastapi import APIRouter

router = APIRouter(include_in_schema=False)
