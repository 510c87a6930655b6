"""Working hours: when the office answers, and how long a missed call may wait. For administrators."""

from __future__ import annotations

from fastapi import APIRouter

router = APIRouter(include_in_schema=False)
