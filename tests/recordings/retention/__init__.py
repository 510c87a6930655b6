"""How long sound is kept."""
