"""Networks built from plain torch.nn, with their norms and initializers."""
