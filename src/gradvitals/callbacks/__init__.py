"""When to measure and where to send it."""
