"""Calls as they go on."""
