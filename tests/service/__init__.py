"""The whole service as a process, against a real Asterisk, real phones and a real PostgreSQL."""
