"""The commands of `src/*.py`: each parses and calls one function."""
