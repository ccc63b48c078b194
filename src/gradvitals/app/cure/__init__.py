"""The cure: remedies tried on a sick run, and proven."""
