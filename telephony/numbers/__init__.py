"""Telephone numbers: which are ours, what an outside one is in E.164, and what people write."""
