"""What is wrong between Switchhook and a PBX, with the line that mends it."""
