"""What TensorBoard, CSV files, W&B, MLflow, Comet, Aim and functions are given; no file here imports Lightning."""
