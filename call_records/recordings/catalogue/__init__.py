"""Which recordings there are, to which calls they belong, and what people wrote and did with them."""
