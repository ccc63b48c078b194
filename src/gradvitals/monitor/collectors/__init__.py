"""Collectors: one kind of number each, mirroring `gradvitals.vitals`."""
