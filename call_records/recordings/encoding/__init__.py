"""Files in, files out, in a process of its own: encoding, measuring, cutting, redacting."""
