"""Sentences that are written here and shown elsewhere."""
