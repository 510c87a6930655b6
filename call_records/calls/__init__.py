"""Calls as they are kept: journal, spool, live calls, outbox, notes."""
