"""The outcomes of a diagnosis beside a cause."""

HEALTHY = "healthy"  # it learns, and nothing is wrong
NOT_LEARNING = "not_learning"  # it has had its time and knows no more than a constant; no cause is known
UNDECIDED = "undecided"  # too early, or progress cannot be judged
