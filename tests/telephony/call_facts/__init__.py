"""What is told of a call."""
