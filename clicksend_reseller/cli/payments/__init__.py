"""Lists of payments and of new accounts: read, planned, done, counted."""
