"""What a command works with: target, journal, credentials, signals."""
