"""Telling the CRM without living in it. Adapters come later; the outbox they will empty is already written."""
