"""Missed: whom do we owe a call? Oldest debt first."""

from __future__ import annotations

from fastapi import APIRouter

router = APIRouter(include_in_schema=False)
