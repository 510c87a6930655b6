"""Missed calls that are to be called back: the list, its due times, and what a call changes of it."""
