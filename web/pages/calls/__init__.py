"""Calls: what is going on, what happened, the card."""
