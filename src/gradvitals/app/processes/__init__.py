"""The processes of one run: signals, interruption, other processes, the same config in each."""
