"""Captures told again, compared with what the phones know."""
