"""Checkpoints: written whole or not at all, found, verified, read, compared with a model."""
