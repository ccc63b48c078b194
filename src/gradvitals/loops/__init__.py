"""Lightning's loops of a fit: faster (lean), and resumed bit for bit (resumable)."""
