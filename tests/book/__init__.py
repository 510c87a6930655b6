"""The book: people, what happened with them, and what is owed to them."""
"""The book: contacts, deals and calls that are owed, on a real PostgreSQL."""
