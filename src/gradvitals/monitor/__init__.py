"""When to measure, for any training loop."""
