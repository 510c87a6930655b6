"""How long sound is kept, and its removal by rule."""
