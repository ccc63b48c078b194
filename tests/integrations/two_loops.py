"""Run by torchrun in two processes: one training by Lightning and by a loop of one's own, each with DDP."""

import json
import logging
import sys
from io import StringIO
from pathlib import Path

import torch
import torch.distributed as dist
import torch.nn.functional as F
from lightning.pytorch.strategies import DDPStrategy
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader

from gradvitals import GradientVitals, Vitals, watch
from gradvitals.distributed.collectives import ALONE
from gradvitals.integrations.unwrap import processes_of
from tests.callbacks.trainer import bare_trainer
from tests.distributed import process_group
from tests.integrations.same_training import SETTINGS, Module, Named, adam, batches, network

CLIP = 0.1


def by_lightning() -> GradientVitals:
    monitor = GradientVitals(**SETTINGS, clip_cosine=True)
    strategy = DDPStrategy(process_group_backend="gloo")
    options = {"devices": 2, "strategy": strategy, "use_distributed_sampler": False}
    trainer = bare_trainer(monitor, **options, max_epochs=1, gradient_clip_val=CLIP)
    mine = batches()[trainer.global_rank :: 2]
    trainer.fit(Module(network(), adam), DataLoader(mine, batch_size=None))
    return monitor


def by_hand(folder: Path) -> Vitals:
    model = DistributedDataParallel(Named(network()))
    optimizer = adam(model)
    mine = batches()[dist.get_rank() :: 2]
    vitals = watch(model, optimizer, total_steps=len(mine), log_dir=folder, **SETTINGS, clip_cosine=True)
    for x, y in mine:
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimizer.step()
        vitals.log(loss)
    if dist.get_rank() == 0:  # as people do with what one process writes
        print(vitals)
        vitals.close()
    return vitals


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    theirs, ours = by_lightning(), by_hand(folder / "events")
    found = {name: {"start": m.start, "end": m.end} for name, m in (("theirs", theirs), ("ours", ours))}
    network_of_both = DistributedDataParallel(network())  # a collective call
    found["alone"] = why_alone(network_of_both)
    (folder / f"found-{dist.get_rank()}.json").write_text(json.dumps(found))
    process_group.destroy()


def why_alone(model: DistributedDataParallel) -> str:
    """Returns the warning of the first process if it is the only one that calls watch."""
    if dist.get_rank():
        return ""
    told = StringIO()
    logging.getLogger("gradvitals").addHandler(logging.StreamHandler(told))
    assert processes_of(model, wait=1.0) == ALONE
    return told.getvalue()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
