"""Run by torchrun: what each loop finds where two processes share the batches. The numbers go to found.json."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
import torch.distributed as dist
from accelerate import Accelerator
from lightning import Fabric
from torch import nn

from gradvitals import Vitals
from gradvitals.integrations.accelerate import watch_accelerator
from gradvitals.integrations.fabric import watch_fabric
from gradvitals.integrations.hugging_face import GradientVitalsCallback
from tests.integrations.net import MOST, RATE, Kept, Net, batches
from tests.integrations.test_hugging_face import STEPS, rows, trainer_of


def seeded() -> Net:
    torch.manual_seed(0)
    return Net()


def train(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    vitals: Vitals,
    rank: int,
    backward: Callable[[torch.Tensor], None],
    clip: Callable[[], object],
) -> None:
    """What both loops have in common."""
    for x, y in batches(2 * STEPS)[rank::2]:
        loss = nn.functional.cross_entropy(model(x), y)
        optimizer.zero_grad()
        backward(loss)
        clip()
        optimizer.step()
        vitals.log(loss)


def of_hugging_face(folder: Path) -> Kept:
    kept = Kept()
    callback = GradientVitalsCallback(every_n_steps=1, logger=kept)
    trainer_of(seeded(), callback, folder, train_dataset=rows(2 * STEPS), ddp_backend="gloo").train()
    return kept


def of_accelerate(rank: int) -> Kept:
    accelerator, net, kept = Accelerator(cpu=True), seeded(), Kept()
    model, optimizer = accelerator.prepare(net, torch.optim.SGD(net.parameters(), lr=RATE))
    with watch_accelerator(accelerator, model, optimizer, every_n_steps=1, logger=kept) as vitals:
        clip = partial(accelerator.clip_grad_norm_, list(model.parameters()), MOST)
        train(model, optimizer, vitals, rank, accelerator.backward, clip)
    return kept


def of_fabric(rank: int) -> Kept:
    fabric, net, kept = Fabric(accelerator="cpu", devices=2, strategy="ddp"), seeded(), Kept()
    fabric.launch()
    model, optimizer = fabric.setup(net, torch.optim.SGD(net.parameters(), lr=RATE))
    with watch_fabric(fabric, model, optimizer, every_n_steps=1, logger=kept) as vitals:
        clip = partial(fabric.clip_gradients, model, optimizer, max_norm=MOST)
        train(model, optimizer, vitals, rank, fabric.backward, clip)
    return kept


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    torch.set_num_threads(1)
    first = of_hugging_face(folder / "trainer")
    rank = dist.get_rank()
    found = {"hugging_face": first, "accelerate": of_accelerate(rank), "fabric": of_fabric(rank)}
    (folder / f"found-{rank}.json").write_text(json.dumps({name: kept.steps for name, kept in found.items()}))
    dist.destroy_process_group()
