"""Accounts, staff, the first administrator's code."""
