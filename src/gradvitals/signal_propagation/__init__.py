"""The preflight: measures one batch in an untrained network, and compares it with theory."""
