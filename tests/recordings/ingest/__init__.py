"""How recordings get here."""
