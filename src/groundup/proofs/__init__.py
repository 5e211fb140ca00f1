"""Each part held against an outside reference, as a table."""
