"""What TensorBoard and CSV files are given."""
