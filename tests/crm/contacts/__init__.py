"""Contacts, companies and leads."""
