"""A PostgreSQL of our own, for an office that has none."""
