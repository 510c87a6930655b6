"""People: what is changed on their pages: facts, notes, conversion of a lead, merging and its undoing."""

from __future__ import annotations

from fastapi import APIRouter

router = APIRouter(include_in_schema=False)
