"""The pre-flight: one batch through an untrained network, measured beside what theory predicts."""
