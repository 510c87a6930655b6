"""Reviewing calls: which to hear this week, what they scored, and what the colleague was told."""
