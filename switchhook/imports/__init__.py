"""Recordings and contacts of the past, brought in on the command line."""
