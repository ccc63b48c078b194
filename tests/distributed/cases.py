"""Run by pair.py in two processes (gloo): many small fits, and what came of them as JSON.

Names of cases are keys of the answer; what they must be is told by the tests.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf
from torch import Tensor, nn
from torch.distributed.elastic.multiprocessing.errors import record

from gradvitals.app.commands.train import train
from gradvitals.app.config.run_directory import register_names
from gradvitals.callbacks.last_checkpoint import LastCheckpoint
from gradvitals.distributed.sync_batch_norm import desynchronize, synchronize
from tests.conftest import CONF
from tests.distributed import process_group
from tests.distributed.small_fit import fit, lists, model, trainer

STEPS = 3
CLIPS = {"none": None, "norm": 0.1, "value": 0.02, "per_parameter": 0.05, "agc": 0.05, "percentile": 50}
NETS: dict[str, dict[str, Any]] = {
    "plain": {},
    "bn": {"norm": "batch"},
    "input": {"norm": "batch", "input_norm": True, "norm_position": "after_act"},
    "residual": {"norm": "batch", "block": "residual"},
    "rezero": {"norm": "layer", "block": "rezero"},
}
OPTIMIZERS = {
    "adam": {"_target_": "torch.optim.Adam", "lr": 0.01, "fused": "auto"},
    "momentum": {"_target_": "torch.optim.SGD", "lr": 0.1, "momentum": 0.9},
    "sgd": {"_target_": "torch.optim.SGD", "lr": 0.1, "fused": "auto"},
}
PRECISIONS = ("32-true", "bf16-mixed", "bf16-true")
INPUTS = {"even": (6, 6), "uneven": (9, 3), "none in one": (12, 0)}  # samples of each process


def clip_settings(name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the module is told, and what the Trainer."""
    val = CLIPS[name]
    by_trainer = {"gradient_clip_val": val, "gradient_clip_algorithm": name} if name in ("norm", "value") else {}
    return {"name": name, "val": val}, by_trainer


def clipped() -> Iterator[tuple[str, Any]]:
    for strategy in ("ddp", "fsdp"):
        for name in CLIPS:
            clip, arguments = clip_settings(name)
            module = model(clip=clip)
            fit(module, trainer(strategy, STEPS, **arguments), STEPS)
            yield f"clip {strategy} {name}", module.seen


def synchronized() -> Iterator[tuple[str, Any]]:
    for strategy in ("ddp", "fsdp"):
        for name, net in NETS.items():
            module = model(net)
            fit(module, trainer(strategy, STEPS, sync=True), STEPS)
            yield f"sync {strategy} {name}", {"seen": module.seen, "state": lists(module.net.state_dict())}
            yield f"kinds {strategy} {name}", sorted({type(part).__name__ for part in module.modules()})
    module = model(NETS["bn"])
    fit(module, trainer("ddp", STEPS), STEPS)
    yield "sync alone bn", {"seen": module.seen}


def precisions() -> Iterator[tuple[str, Any]]:
    for strategy in ("ddp", "fsdp"):
        for precision in PRECISIONS:
            for accumulate in (1, 2):
                clip, arguments = clip_settings("norm")
                run = trainer(strategy, STEPS, precision=precision, accumulate_grad_batches=accumulate, **arguments)
                module = model(optimizer=OPTIMIZERS["adam"], clip=clip)
                fit(module, run, STEPS * accumulate)
                kinds = sorted({str(p.dtype) for p in module.parameters()})
                yield f"precision {strategy} {precision} {accumulate}", {"seen": module.seen, "kinds": kinds}


def saved(folder: Path) -> Iterator[tuple[str, Any]]:
    """Half a fit here and half a fit there; ``one-*`` were written by one process."""
    for name, optimizer in OPTIMIZERS.items():
        fit(model(optimizer=optimizer), trainer("fsdp", STEPS, saves=folder / f"fsdp-{name}"), STEPS)
        for source in ("fsdp", "one"):
            for strategy in ("ddp", "fsdp"):
                module = model(optimizer=optimizer, seed=1)  # another net, which the file must overwrite
                fit(module, trainer(strategy, 2 * STEPS), STEPS, folder / f"{source}-{name}" / "last.ckpt")
                yield f"resumed {source} {strategy} {name}", lists(module.net.state_dict())


def accuracies(folder: Path) -> Iterator[tuple[str, Any]]:
    """``train/acc`` of an epoch at one go, and of one that was resumed after two of its three steps."""
    for strategy in ("ddp", "fsdp"):
        for name, ckpt_path in (("straight", None), ("resumed", folder / f"accuracy-{strategy}" / "last-1.ckpt")):
            run = trainer(strategy, STEPS)
            run.callbacks.append(LastCheckpoint(folder / f"accuracy-{strategy}", keep=2, every_n_steps=2))  # type: ignore[attr-defined]
            fit(model(), run, STEPS, ckpt_path)
            yield f"accuracy {strategy} {name}", run.callback_metrics["train/acc"].item()


def commands(folder: Path) -> Iterator[tuple[str, Any]]:
    """The app: two epochs at one go, and one and one more; each tests its best weights. Last, one that learns nothing."""
    common = ("trainer=fsdp", "trainer.accelerator=cpu", "trainer.devices=2", "callbacks.picture.enabled=false")
    common += (
        "data=circles",
        "test=best",
        "data.batch_size=100",
        "model=bn",
        "init=lsuv",
        "clip=norm",
        "logger=none",
        "report=false",
        "monitor=full",
    )
    train_in(folder / "straight", *common, "trainer.max_epochs=2")
    train_in(folder / "half", *common, "trainer.max_epochs=1")
    last = folder / "half" / "checkpoints" / "last.ckpt"
    train_in(folder / "resumed", *common, "trainer.max_epochs=2", f"ckpt_path={last}")
    train_in(folder / "afresh", *common, "trainer.max_epochs=1", "optimizer.lr=0", f"weights={last}")
    for name in ("straight", "resumed"):
        yield f"command {name}", json.loads((folder / name / "result.json").read_text())


def train_in(run_dir: Path, *typed: str) -> None:
    """As ``python src/train.py`` does, in this process."""
    register_names()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("train", list(typed), return_hydra_config=True)
    OmegaConf.set_struct(config, False)
    run_dir.mkdir(parents=True, exist_ok=True)
    config.hydra.runtime.output_dir = str(run_dir)
    HydraConfig.instance().set_config(config)
    del config["hydra"]
    train(config)
    dist.barrier()


def norms() -> Iterator[tuple[str, Any]]:
    for name, sizes in INPUTS.items():
        for shape in ((4,), (4, 3)):
            x, target = whole_batch(shape)
            start = sum(sizes[: dist.get_rank()])
            mine = slice(start, start + sizes[dist.get_rank()])
            for kind, layer in norm_layers().items():
                synchronize(layer)
                yield f"norm {name} {len(shape)} {kind}", gathered(*through(layer, x[mine], target[mine]))
                assert type(layer).__name__ == "SyncBatchNorm"
                desynchronize(layer)
                assert type(layer) is nn.BatchNorm1d


def whole_batch(shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(2)
    return 3 + torch.randn(12, *shape, generator=draw), torch.randn(12, *shape, generator=draw)


def norm_layers() -> dict[str, nn.Module]:
    """Drawn gains, so that no gradient is zero by symmetry."""
    options = {
        "usual": {},
        "cumulative": {"momentum": None},
        "bare": {"affine": False},
        "untracked": {"track_running_stats": False},
    }
    layers = {name: nn.BatchNorm1d(4, **option) for name, option in options.items()}
    draw = torch.Generator().manual_seed(3)
    for layer in layers.values():
        for parameter in layer.parameters():
            parameter.data = torch.rand(4, generator=draw)
    return layers


def through(layer: nn.Module, x: Tensor, target: Tensor) -> tuple[dict[str, Tensor], ...]:
    """What belongs to the samples, and what to the layer: two passes forwards and back, and one in evaluation."""
    for scale in (1, 2):
        x = (scale * x).detach().requires_grad_()
        y = layer.train()(x)
        (y * target).sum().backward()
    own = {"y": y.detach(), "x": x.grad}
    if layer.running_mean is not None:
        own["evaluated"] = layer.eval()(x).detach()
    return own, {n: p.grad for n, p in layer.named_parameters()}, dict(layer.named_buffers())


def gathered(own: dict, gradients: dict, buffers: dict) -> dict[str, list]:
    """Samples side by side, gradients in sum; running statistics must be equal in both."""
    for gradient in gradients.values():
        dist.all_reduce(gradient)
    parts: list[Any] = [None, None]
    dist.all_gather_object(parts, (own, buffers))
    for name, value in parts[1][1].items():
        torch.testing.assert_close(value, parts[0][1][name], rtol=0, atol=0)
    together = {name: torch.cat([part[0][name] for part in parts]) for name in own}
    return lists(together | {f"d{name}": value for name, value in gradients.items()} | buffers)


@record  # so that an error is told by the launcher
def main(folder: Path) -> None:
    torch.set_num_threads(1)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    found = {}
    for cases in (
        clipped(),
        synchronized(),
        precisions(),
        saved(folder),
        accuracies(folder),
        commands(folder),
        norms(),
    ):
        found |= dict(cases)
    if dist.get_rank() == 0:
        (folder / "found.json").write_text(json.dumps(found))
    process_group.destroy()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
