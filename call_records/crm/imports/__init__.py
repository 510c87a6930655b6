"""Files of contacts: read in a process of their own, tried out (dry run), written, taken back."""
