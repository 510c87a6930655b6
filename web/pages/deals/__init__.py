"""Deals: the board, one deal, pipelines."""
