"""Calls as they are kept."""
