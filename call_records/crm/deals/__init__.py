"""Deals, the pipelines they go through, and tasks."""
