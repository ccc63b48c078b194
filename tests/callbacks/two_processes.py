"""Run by test_processes in two processes (gloo): fit, and write what the monitor of the first one found."""

import json
import sys
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from lightning import LightningModule, Trainer, seed_everything
from lightning.pytorch.strategies import DDPStrategy, ModelParallelStrategy
from torch import nn
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

from gradvitals import GradientVitals
from tests.distributed import process_group

CLIP = 1e-3
MODES = ("ddp", "fsdp", "bn")  # the last by ddp: each process normalises its part by itself


def data() -> TensorDataset:
    x = torch.randn(2400, 6, generator=torch.Generator().manual_seed(0))
    return TensorDataset(x, torch.arange(len(x)) % 3)


def network(mode: str) -> nn.Module:
    seed_everything(0, verbose=False)
    if mode == "bn":
        return nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 3))
    net = nn.Sequential(nn.Linear(6, 8), nn.Hardtanh(), nn.Linear(8, 7), nn.ReLU(), nn.Linear(7, 3))
    net[2].bias.data[:2] = -100.0  # two units of seven are dead
    return net


class Model(LightningModule):
    def __init__(self, mode: str) -> None:
        super().__init__()
        self.net, self.sharded, self.apart = network(mode), mode == "fsdp", mode == "apart"

    def configure_model(self) -> None:
        if self.sharded:
            from torch.distributed.fsdp import fully_shard

            mesh = self.device_mesh["data_parallel"]
            for layer in self.net:
                if isinstance(layer, nn.Linear):
                    fully_shard(layer, mesh=mesh)
            fully_shard(self.net, mesh=mesh)

    def on_train_batch_end(self, *_):
        if self.apart and self.global_rank == 1:
            self.net[0].bias.data += 0.1

    def training_step(self, batch, batch_idx):
        return F.cross_entropy(self.net(batch[0]), batch[1])

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1 if self.apart else 100.0)


def fit(mode: str, clips: bool) -> dict[str, Any]:
    sharded = mode == "fsdp"
    strategy = (
        ModelParallelStrategy(data_parallel_size=2, tensor_parallel_size=1)
        if sharded
        else DDPStrategy(process_group_backend="gloo")
    )
    monitor = GradientVitals(every_n_steps=2, first_steps=0, clip_cosine=True)
    trainer = Trainer(
        accelerator="cpu",
        devices=2,
        strategy=strategy,
        max_steps=9,
        gradient_clip_val=CLIP if clips else None,
        logger=False,
        use_distributed_sampler=False,
        callbacks=[monitor],
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    part = DistributedSampler(data(), num_replicas=2, rank=trainer.global_rank, shuffle=False)  # every second sample
    trainer.fit(Model(mode), DataLoader(data(), batch_size=100, sampler=part))
    differences = [state.replicas_differ for _, state in monitor._verdict.run.history.with_state]
    findings = [(found.rule, found.evidence) for found in monitor.diagnosis.findings]
    return {"start": monitor.start, "end": monitor.end, "differences": differences, "findings": findings}


def main(file: str) -> None:
    torch.set_num_threads(1)
    found = {f"{mode} {clips}": fit(mode, clips) for mode in MODES for clips in (False, True)}
    found["apart"] = fit("apart", False)
    if torch.distributed.get_rank() == 0:
        Path(file).write_text(json.dumps(found))
    process_group.destroy()


if __name__ == "__main__":
    main(sys.argv[1])
