"""Bytes to whole AMI messages and back, over one connection, in our time."""
