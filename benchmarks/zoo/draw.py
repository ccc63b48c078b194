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


# What healthy nets reach on the same data and in the same time.
CONTROLS = [
    ["model=plain", "model.depth=2", "model.width=64", "act=relu", "init=auto", "optimizer=adam", "optimizer.lr=0.003"],
    ["model=plain", "model.depth=4", "model.width=32", "act=elu", "init=auto", "optimizer=adam", "optimizer.lr=0.003"],
    ["model=bn", "model.depth=3", "model.width=64", "act=relu", "init=auto", "optimizer=adam", "optimizer.lr=0.003"],
]
# Whether some change at the same depth and width reaches that; independent of what a verdict prescribes.
REMEDIES = [
    ["init=auto", "optimizer=adam", "optimizer.lr=0.001", "clip=none"],
    ["init=auto", "optimizer=adam", "optimizer.lr=0.01", "clip=none"],
    ["act=elu", "init=auto", "model=residual", "optimizer=adam", "optimizer.lr=0.002", "clip=none"],
    ["act=elu", "init=auto", "model=bn", "optimizer=adam", "optimizer.lr=0.005", "clip=none"],
]


def control(data: str, number: int) -> list[str]:
    """The overrides of one of the healthy nets on a data set."""
    return [*DATA[data], *CONTROLS[number], f"seed={number}", f"trainer.max_epochs={EPOCHS}"]


def remedied(overrides: list[str], remedy: list[str]) -> list[str]:
    """A drawn net with a remedy in place of what it was given; a linear net stays linear."""
    linear = "act=identity" in overrides
    changes = {word.partition("=")[0]: word for word in remedy if not (linear and word.startswith("act="))}
    kept = [word for word in overrides if word.partition("=")[0] not in changes and not word.startswith("clip.")]
    return [*kept, *changes.values()]
