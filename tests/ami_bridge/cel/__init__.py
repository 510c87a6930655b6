"""The channel event log."""
