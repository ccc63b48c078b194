"""The recipe ``fashion_bn`` in Keras: an epoch for each line that comes in; run by an interpreter with TensorFlow."""

import gzip
import os
import sys
import time
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import keras
import numpy as np


def read(name: str, header: int) -> np.ndarray:
    """Bytes of a file of the data set, packed or not."""
    file = Path(sys.argv[1]) / "FashionMNIST/raw" / name
    content = file.read_bytes() if file.exists() else gzip.decompress(file.with_suffix(".gz").read_bytes())
    return np.frombuffer(content, np.uint8, offset=header)


x = read("train-images-idx3-ubyte", 16).reshape(-1, 28, 28) / np.float32(255)
y = read("train-labels-idx1-ubyte", 8)
layers = [keras.layers.Input((28, 28)), keras.layers.Flatten(), keras.layers.BatchNormalization()]
for _ in range(3):
    layers += [
        keras.layers.Dense(50, activation="elu", kernel_initializer="he_normal"),
        keras.layers.BatchNormalization(),
    ]
model = keras.Sequential([*layers, keras.layers.Dense(10, activation="softmax")])
model.compile(loss="sparse_categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
for _ in sys.stdin:
    began = time.perf_counter()
    model.fit(x[5000:], y[5000:], batch_size=32, epochs=1, validation_data=(x[:5000], y[:5000]), verbose=2)
    print("seconds", time.perf_counter() - began, flush=True)
