"""The state of the random generators of a training, as plain values that a checkpoint may contain."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch


def random_state() -> dict[str, Any]:
    """Returns the states of Python's, NumPy's and torch's global generators, and of every GPU where CUDA is in use.

    Example:
        >>> before = random_state()
        >>> first = torch.rand(3)
        >>> set_random_state(before)
        >>> torch.equal(torch.rand(3), first)
        True
    """
    version, words, gauss = random.getstate()
    kind, keys, *rest = np.random.get_state(legacy=True)
    return {  # tensors, because writing one number takes as long as writing a tensor
        "python": [version, torch.from_numpy(np.array(words)), gauss],
        "numpy": [kind, torch.from_numpy(keys.astype(np.int64)), *rest],  # type: ignore[union-attr]
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else [],
    }


def set_random_state(state: dict[str, Any]) -> None:
    """Sets the generators to a state that :func:`random_state` returned; GPUs that this machine lacks are skipped."""
    version, words, gauss = state["python"]
    random.setstate((version, tuple(words.tolist()), gauss))
    kind, keys, *rest = state["numpy"]
    np.random.set_state((kind, keys.numpy(), *rest))
    torch.set_rng_state(state["torch"])
    for device, of_device in enumerate(state["cuda"][: torch.cuda.device_count()]):
        torch.cuda.set_rng_state(of_device, device)
