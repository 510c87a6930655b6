"""The HTTP API for programs, version 1, and the answers for machines that watch over us."""
