"""Import and export: contacts in from a file with a try-out and an undo, everything out in open formats."""

from __future__ import annotations

from fastapi import APIRouter

router = APIRouter(include_in_schema=False)
