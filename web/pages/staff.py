"""Staff: everybody with a phone, with or without an account. For administrators."""

from __future__ import annotations

from fastapi import APIRouter

router = APIRouter(include_in_schema=False)
