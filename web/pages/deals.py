"""Deals: where is the money and what is next? The board of stages, the list, and each deal's page."""

from __future__ import annotations

from fastapi import APIRouter

router = APIRouter(include_in_schema=False)
