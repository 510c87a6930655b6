"""Who calls, asked by Asterisk."""
