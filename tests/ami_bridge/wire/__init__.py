"""Bytes to whole AMI messages."""
