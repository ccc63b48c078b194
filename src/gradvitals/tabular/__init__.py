"""Tables: read, described, prepared and split, as plain values."""
