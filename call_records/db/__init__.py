"""How the database is spoken to: the engine, its errors, being woken, the tables, their migrations."""
