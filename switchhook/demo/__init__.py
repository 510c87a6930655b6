"""The demonstration: a private PBX with a simulated office, and an office's past."""
