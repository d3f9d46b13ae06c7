"""Lists of payments: read, planned, paid, counted."""
