"""The loops of a fit: Lightning's, in less time, and resumed to the last bit."""
