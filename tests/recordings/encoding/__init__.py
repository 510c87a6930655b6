"""The audio worker and what it makes."""
