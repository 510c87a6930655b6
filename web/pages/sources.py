"""Sources: which campaign a number of ours stands for, and the forms of the web site. For administrators."""

from __future__ import annotations

from fastapi import APIRouter

router = APIRouter(include_in_schema=False)
