"""Diagnoses a training from its measured numbers; does not import torch."""
