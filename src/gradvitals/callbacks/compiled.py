"""Networks that ``torch.compile`` has compiled."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch
from torch import nn


def is_compiled(network: nn.Module) -> bool:
    """Whether a part is: by ``torch.compile(module)``, ``module.compile()``, or as a compiled LightningModule."""
    wrapper = getattr(sys.modules.get("torch._dynamo"), "OptimizedModule", ())
    own = getattr(network, "_compiler_ctx", None) is not None  # what Lightning leaves of the wrapper
    return own or any(isinstance(m, wrapper) or m._compiled_call_impl is not None for m in network.modules())


@contextmanager
def uncompiled(compiled: bool) -> Iterator[None]:
    """Run compiled code as it was written, because it takes no notice of hooks that come and go; it is kept for later.

    Args:
        compiled: whether there is any; if not, this costs nothing.
    """
    with torch.compiler.set_stance("force_eager") if compiled else nullcontext():
        yield
