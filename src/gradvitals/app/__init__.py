"""The application: the only rooms that know Hydra."""
