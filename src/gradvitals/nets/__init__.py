"""Networks out of plain torch.nn."""
