"""The book: contacts, deals and calls that are owed, on a real PostgreSQL."""
