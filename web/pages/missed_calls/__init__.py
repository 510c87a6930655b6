"""Missed calls, and the working hours that say until when a call is owed."""
