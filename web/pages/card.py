"""My card: what the manager does on it. Choosing who calls, refiling a wrong person, saving a contact."""

from __future__ import annotations

from fastapi import APIRouter

router = APIRouter(include_in_schema=False)
