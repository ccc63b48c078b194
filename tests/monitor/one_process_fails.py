"""Run by test_isolation in two processes (gloo): a part of the monitor fails in the second one alone."""

import json
import sys
from pathlib import Path

import torch
from lightning import Trainer
from lightning.pytorch.strategies import DDPStrategy
from torch.utils.data import DataLoader, DistributedSampler

from gradvitals import GradientVitals
from tests.callbacks.two_processes import Model, data
from tests.distributed import process_group
from tests.monitor.test_isolation import Failing

FAULTS = {
    "nothing": (),
    "losses": ("gradvitals.monitor.collectors.loss_buffer", "LossBuffer", "batch_ends"),
    "noise": ("gradvitals.monitor.collectors.noise_scale", "NoiseScaleCollector", "before_step"),
    "layer_inputs": ("gradvitals.vitals.layer_inputs", "LayerInputs", "layer_called"),
    "updates": ("gradvitals.monitor.collectors.optimizer_step", "Trained", "copy_weights"),
}


def fit(fault: str) -> dict:
    monitor = GradientVitals(every_n_steps=2, first_steps=0, noise_scale=True)
    callbacks = {"enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False}
    strategy = DDPStrategy(process_group_backend="gloo")
    trainer = Trainer(
        accelerator="cpu",
        devices=2,
        strategy=strategy,
        max_steps=9,
        logger=False,
        use_distributed_sampler=False,
        callbacks=[monitor],
        **callbacks,
    )
    model = Model("ddp")
    part = DistributedSampler(data(), num_replicas=2, rank=trainer.global_rank, shuffle=False)
    if fault != "nothing" and trainer.global_rank == 1:
        module, kind, name = FAULTS[fault]
        owner = getattr(sys.modules[module], kind)
        original = getattr(owner, name)
        setattr(owner, name, Failing(original, 0))
    trainer.fit(model, DataLoader(data(), batch_size=100, sampler=part))
    if fault != "nothing" and trainer.global_rank == 1:
        setattr(owner, name, original)
    return {"weight": model.net[0].weight.tolist(), "start": monitor.start, "end": monitor.end}


def main(file: str) -> None:
    torch.set_num_threads(1)
    found = {fault: fit(fault) for fault in FAULTS}
    if torch.distributed.get_rank() == 0:
        Path(file).write_text(json.dumps(found))
    process_group.destroy()


if __name__ == "__main__":
    main(sys.argv[1])
