"""Backups: database and audio into one directory, and back."""
