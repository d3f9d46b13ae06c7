"""One call from start to end: deadline, retries, attempts, journal, events."""
