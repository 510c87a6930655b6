"""Deals, pipelines and tasks."""
