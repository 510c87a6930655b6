"""Who is asking: passwords, sessions, tokens, rights, and what is written down of them."""
