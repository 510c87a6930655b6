"""How recordings get here from the PBX: watched folders and uploads, names, what becomes of each file."""
