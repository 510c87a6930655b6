"""From arrival to player."""
