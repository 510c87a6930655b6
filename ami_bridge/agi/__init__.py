"""Who calls? Asterisk asks before the phones ring (AGI)."""
