"""What is going on at a PBX: signals in, calls out. One owner; it never waits, logs or reads a clock."""
