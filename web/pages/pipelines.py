"""Pipelines: which stages deals go through. For administrators."""

from __future__ import annotations

from fastapi import APIRouter

router = APIRouter(include_in_schema=False)
