"""What a PBX said, kept in a file so that it can be told again, and given away without numbers and names."""
