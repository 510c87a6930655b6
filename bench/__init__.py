"""Measurements, printed with the machine and the versions they belong to."""
