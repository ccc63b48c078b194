"""The monitor in training loops that are not Lightning's Trainer."""
