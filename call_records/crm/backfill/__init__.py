"""Calls, contacts, deals and notes of the past, put in many at once (backfill)."""
