"""Tables as people write them: read, described, and prepared for a network by statistics of the training rows."""
