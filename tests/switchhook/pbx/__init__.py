"""What runs for each observed PBX."""
