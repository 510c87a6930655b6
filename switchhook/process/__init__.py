"""The process itself: logs, its end, memory, file descriptors."""
