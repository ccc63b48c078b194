"""The processes of one run: signals, interruption, the same config in each."""
