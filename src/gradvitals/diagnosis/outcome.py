"""The outcomes of a diagnosis that are not causes; any other verdict is the name of a rule."""

HEALTHY = "healthy"
NOT_LEARNING = "not_learning"
UNDECIDED = "undecided"
