"""What is wrong between Switchhook and a PBX."""
