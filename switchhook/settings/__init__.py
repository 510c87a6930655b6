"""What an administrator sets: the tables of settings, read, checked, explained."""
