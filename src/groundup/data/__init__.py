"""Sources to arrays."""
