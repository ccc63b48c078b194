"""Findings and histories as text and pictures."""
