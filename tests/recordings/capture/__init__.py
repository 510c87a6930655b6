"""Recordings of calls played on a private Asterisk."""
