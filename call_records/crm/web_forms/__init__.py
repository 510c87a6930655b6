"""Forms of the customer's web site, and what visitors sent by them."""
