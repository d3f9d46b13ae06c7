"""What a command writes: rows to stdout, notes and questions to stderr."""
