"""Recordings: the list, the player, retention, shared links, the audit log."""
