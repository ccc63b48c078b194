"""What TensorBoard, CSV files, W&B, MLflow and functions are given; no file here imports Lightning."""
