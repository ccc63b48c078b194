"""Numbers in, findings out; no torch."""
