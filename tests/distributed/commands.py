"""Fits as command lines say, and what came of them: run by test_same_numbers.py in two processes (gloo), and in one."""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import torch
import torch.distributed as dist
from lightning import Callback
from torch import Tensor
from torch.distributed.elastic.multiprocessing.errors import record
from torch.utils._python_dispatch import TorchDispatchMode

from gradvitals.app.config.compose import compose_run_config
from gradvitals.app.run.assemble import Run, assemble
from gradvitals.app.run.environment import prepare
from gradvitals.distributed.collectives import Collectives
from gradvitals.distributed.sharding import gathered
from tests.distributed import process_group

BATCH = 1000  # samples of a step in all processes: as many as it takes to call a unit dead
ALWAYS = (
    "threads=1 logger=none callbacks=none data.shuffle=false optimizer=sgd optimizer.lr=0.1 trainer.limit_val_batches=0 "
    "trainer.max_steps=2 trainer.max_epochs=-1"
)
COMMANDS = {  # name -> what is typed beside the trainer
    "plain": "model=plain model.depth=4 act=tanh init.gain=0.5",
    "relu": "model=plain model.depth=8 model.width=16",
    "residual": "model=residual model.depth=4",
    "bn": "model=bn model.depth=4 trainer.sync_batchnorm=true",
    "norm": "model=plain clip=norm clip.val=0.1 monitor.clip_cosine=true",
    "value": "model=plain clip=value clip.val=0.01 monitor.clip_cosine=true",
    "accumulated": "model=residual clip=norm clip.val=0.1 trainer.accumulate_grad_batches=2",
    "vanishing": "model=plain model.depth=12 act=sigmoid init=default trainer.max_steps=60",
    "unstable": "model=plain optimizer.lr=1e6 trainer.max_steps=30",
    "symmetric": "model=plain act=tanh init=normal init.std=0 init.output=null trainer.max_steps=20",
}
TRAINERS = ("ddp_cpu", "fsdp trainer.accelerator=cpu trainer.devices=2")
ON_GPUS = ("ddp trainer.devices=2", "fsdp trainer.accelerator=gpu trainer.devices=2")
COUNTED = "model=bn trainer.max_steps=14 data.batch_size=16"
MEASURED, OFTEN = (0, 1, 2, 5, 10), "monitor.first_steps=3 monitor.every_n_steps=5"


class FirstWeights(Callback):
    """The weights after the first step, as a checkpoint holds them."""

    weights: dict[str, list[float]] | None = None

    def on_train_batch_end(self, trainer: Any, module: Any, *_: Any) -> None:
        if self.weights is None and trainer.global_step:
            state = {name: value for name, value in module.state_dict().items() if value.ndim}
            self.weights = {name: gathered(value).double().flatten().tolist() for name, value in state.items()}


class Calls(TorchDispatchMode):
    """Counts collective calls, as far as they are made from Python."""

    number = 0

    def __torch_dispatch__(self, op: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.number += op.namespace in ("c10d", "_c10d_functional") and "wait" not in str(op)
        return op(*args, **(kwargs or {}))


class Counting(Callback):
    """Collective calls of this process until each step."""

    def __init__(self) -> None:
        self.by_step: list[int] = []
        self._calls = Calls()

    def on_train_start(self, *_: Any) -> None:
        self._calls.__enter__()

    def on_train_batch_end(self, *_: Any) -> None:
        self.by_step.append(self._calls.number)

    def on_train_end(self, *_: Any) -> None:
        self._calls.__exit__(None, None, None)


def run(words: str, folder: Path, *callbacks: Callback) -> Run:
    made = assemble(prepare(compose_run_config(words.split(), folder)))
    made.trainer.callbacks.extend(callbacks)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made.trainer.fit(made.model, datamodule=made.data)
    return made


def fit(words: str, trainer: str, folder: Path) -> dict[str, Any]:
    """Numbers of the first step, of the window of dead units, the verdict, and the weights that a checkpoint holds."""
    processes = 1 if trainer in ("cpu", "gpu") else 2
    parts = 2 if "accumulate" in words else 1
    first = FirstWeights()
    made = run(f"{ALWAYS} {words} trainer={trainer} data.batch_size={BATCH // processes // parts}", folder, first)
    monitor = made.monitor
    assert monitor is not None
    return {
        "start": {tag: value for tag, value in monitor.start.items() if not tag.startswith("dead")},
        "dead": {tag: value for tag, value in monitor.end.items() if tag.startswith("dead")},
        "verdict": [monitor.diagnosis.verdict, *(f.rule for f in monitor.diagnosis.findings)],
        "preflight": [layer.gain_predicted for layer in monitor.preflight.layers] if monitor.preflight else None,
        "loss": monitor.preflight.loss_start if monitor.preflight else None,
        "weights": first.weights,
    }


def counted(trainer: str, folder: Path) -> dict[str, list[int]]:
    """Collective calls until each step, without and with the monitor, and how many numbers the monitor sent in each."""
    found, sent, add = {}, list[int](), Collectives.add

    def noted(processes: Collectives, sums: Tensor) -> Tensor:
        sent.append(len(sums))
        return add(processes, sums)

    with patch.object(Collectives, "add", noted):
        for monitor, words in (("off", "monitor=off"), ("on", OFTEN)):
            calls = Counting()
            run(f"{ALWAYS} {COUNTED} trainer={trainer} {words}", folder, calls)
            found[monitor] = calls.by_step
    return found | {"sent": sent}


@record
def main(file: Path, *trainers: str) -> None:
    torch.set_num_threads(1)
    found: dict[str, Mapping[str, Any]] = {}
    with TemporaryDirectory() as folder:
        for trainer in trainers:
            for name, words in COMMANDS.items():
                found[f"{name} {trainer}"] = fit(words, trainer, Path(folder))
            found[f"counted {trainer}"] = counted(trainer, Path(folder))
    if dist.get_rank() == 0:
        file.write_text(json.dumps(found))
    process_group.destroy()


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
