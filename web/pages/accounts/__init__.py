"""Accounts and staff; signing in, and one's own settings."""
