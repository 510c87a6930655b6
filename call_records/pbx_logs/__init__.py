"""Asterisk's logs where they are kept in a database: the channel event log and the call detail records."""
