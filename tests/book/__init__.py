"""The book: people, what happened with them, and what is owed to them."""
