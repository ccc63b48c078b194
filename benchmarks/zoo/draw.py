"""Networks drawn at random: each a command line, from a number."""

from __future__ import annotations

import random

from gradvitals.activations import ACTIVATIONS

# name -> overrides
DATA = {
    "digits": ["data=digits", "data.batch_size=128"],
    "circles": ["data=circles", "data.batch_size=64"],
    "blobs": ["data=blobs", "data.batch_size=64"],
}
MODELS = ("plain", "plain", "plain", "bn", "residual")
BY_SAMPLE = ("ln", "prenorm")  # of two inputs LayerNorm leaves the direction alone, and both sets need the distance
INITS = (
    *("auto", "default", "he_normal", "he_uniform", "glorot_normal", "glorot_uniform", "lecun_normal", "orthogonal"),
    *("normal", "uniform"),
)
RATES = {"sgd": (-4.0, 0.5), "adam": (-5.5, -0.5), "rmsprop": (-5.5, -1.0), "nadam": (-5.5, -1.0)}  # decades
EPOCHS = 60


def draw(number: int) -> list[str]:
    """The overrides of a network: data, depth, width, activation, initializer, optimizer, learning rate, clipping.

    Example:
        >>> draw(0) == draw(0), draw(0) == draw(1)
        (True, False)
    """
    dice = random.Random(f"gradvitals {number}")
    optimizer = dice.choice(["adam", "adam", "sgd", "sgd", "rmsprop", "nadam"])
    rate = float(f"{10 ** dice.uniform(*RATES[optimizer]):.1e}")
    data = dice.choice(list(DATA))
    return [
        *DATA[data],
        f"model={dice.choice(MODELS + BY_SAMPLE if data == 'digits' else MODELS)}",
        f"model.depth={round(2 ** dice.uniform(0, 5))}",
        f"model.width={round(2 ** dice.uniform(2, 7))}",
        f"act={dice.choice(list(ACTIVATIONS))}",
        f"init={dice.choice(INITS)}",
        f"optimizer={optimizer}",
        f"optimizer.lr={rate}",
        *(["clip=norm", f"clip.val={10 ** dice.uniform(-4, 1):.1e}"] if dice.random() < 0.2 else []),
        f"seed={number}",
        f"trainer.max_epochs={EPOCHS}",
    ]
