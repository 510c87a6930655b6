"""Contacts, companies and leads: found by number or name, edited, merged, converted."""
