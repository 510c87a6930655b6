"""Recordings: taken in from the PBX, made playable, kept safe, found again, and removed by rule."""
