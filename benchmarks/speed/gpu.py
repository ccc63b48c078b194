"""On a GPU, where there is one: small nets beside a loop written by hand, captured or not, and a large one beside what
the card's matrix products reach."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from lightning import Callback, Trainer
from results_page import goal
from torch import nn
from turns import HandWritten, Turns, assemble, begin, fit, settings, stand_in_for_fashion

SMALL = ("experiment=fashion_3x100", "trainer=gpu")
DEPTH, WIDTH, BATCH = 20, 4096, 8192


class Resident(HandWritten):
    """The loop with its tensors on the card."""

    def __init__(self, run: Any) -> None:
        run.model.cuda()
        super().__init__(run)
        self.x, self.y = self.x.cuda(), self.y.cuda()

    def steps(self, number: int) -> None:
        super().steps(number)
        torch.cuda.synchronize()


class Synchronised(Turns):
    """Waits for the card before it reads the clock."""

    def _pause(self) -> None:
        torch.cuda.synchronize()
        super()._pause()


class Waits(Callback):
    """Counts what makes the host wait for the card, from one logged step to the next."""

    def __init__(self, every: int) -> None:
        self.every, self.seen = every, 0

    def on_train_batch_start(self, trainer: Trainer, *_: Any) -> None:
        quiet = trainer.global_step > 60 and (trainer.global_step + 1) % self.every and trainer.global_step % 50
        torch.cuda.set_sync_debug_mode("error" if quiet else "default")
        self.seen += bool(quiet)

    def on_validation_start(self, *_: Any) -> None:
        torch.cuda.set_sync_debug_mode("default")

    def on_train_end(self, *_: Any) -> None:
        torch.cuda.set_sync_debug_mode("default")


def lines() -> Iterator[str]:
    """The tables, or that there is none to be made."""
    if not torch.cuda.is_available():
        yield "no GPU"
        return
    begin()
    stand_in_for_fashion()
    yield from small()
    yield from waits()
    yield from large()


def small() -> Iterator[str]:
    """3 x 100 with BatchNorm at batch 128, data resident."""
    yield "| 3 x 100, BatchNorm, batch 128 | app, ms | loop, ms | app over loop |\n| --- | --- | --- | --- |"
    for name, typed in (
        ("float32", ()),
        ("bf16-mixed", ("trainer.precision=bf16-mixed",)),
        ("`compile=reduce-overhead` (CUDA graphs)", ("compile=reduce-overhead",)),
    ):
        hand = Resident(assemble(settings(*SMALL)))
        turns = Synchronised(hand.steps, blocks=40)
        fit(settings(*SMALL, *typed), turns)
        (app, loop), (middle, low, high) = turns.milliseconds, turns.ratio()
        yield f"| {name} | {app:.3f} | {loop:.3f} | **{middle:.2f}** ({low:.2f} to {high:.2f}) |"


def waits() -> Iterator[str]:
    """Whether the host waits for the card between logged steps."""
    config = settings(*SMALL)
    config["trainer"]["max_epochs"] = 1
    run, counts = assemble(config), Waits(config["trainer"]["log_every_n_steps"])
    run.trainer.callbacks.append(counts)  # type: ignore[attr-defined]
    try:
        run.trainer.fit(run.model, datamodule=run.data)
        yield f"\nIn {counts.seen} steps, neither logged nor measured, the host waited 0 times (torch would raise).\n"
    except RuntimeError as error:
        yield f"\nThe host waited between logged steps: {str(error).splitlines()[0]}\n"


def seconds(work: Callable[[], object], times: int) -> float:
    """Of each, after some to warm up."""
    for _ in range(3):
        work()
    torch.cuda.synchronize()
    began = time.perf_counter()
    for _ in range(times):
        work()
    torch.cuda.synchronize()
    return (time.perf_counter() - began) / times


def large() -> Iterator[str]:
    """20 x 4096 at batch 8192 in bfloat16: share of the card's own rate, and what the monitor costs."""
    a = torch.randn(BATCH, WIDTH, device="cuda", dtype=torch.bfloat16)
    b = torch.randn(WIDTH, WIDTH, device="cuda", dtype=torch.bfloat16)
    rate = 2 * BATCH * WIDTH * WIDTH / seconds(lambda: a @ b, 50)
    words = ("data=noise", f"data.num_features={WIDTH}", f"data.batch_size={BATCH}", f"data.num_samples={16 * BATCH}")
    net = (f"model.depth={DEPTH}", f"model.width={WIDTH}", "trainer=gpu", "trainer.precision=bf16-mixed")
    took = {}
    for monitor in ("off", "default"):
        config = settings(*words, *net, f"monitor={monitor}", "trainer.limit_val_batches=0")
        turns = Synchronised(lambda number: 0.0, block=50, blocks=3)
        run = assemble(config)
        run.trainer.callbacks.append(turns)  # type: ignore[attr-defined]
        run.trainer.fit(run.model, datamodule=run.data)
        took[monitor] = turns.milliseconds[0] / 1e3
        assert monitor == "off" or run.monitor is not None
    weights = sum(m.weight.numel() for m in run.model.modules() if isinstance(m, nn.Linear))
    share = 6 * BATCH * weights / took["off"] / rate  # forward, and both products of backward
    yield f"| {DEPTH} x {WIDTH}, batch {BATCH}, bf16-mixed | figure | goal |\n| --- | --- | --- |"
    yield f"| the card's own matrix products, Tflop/s | {rate / 1e12:.0f} | |"
    yield f"| a step's share of that rate | **{share:.2f}** | {goal(share, least=0.6)} |"
    ratio = took["default"] / took["off"]
    yield f"| step with the monitor over one without | **{ratio:.3f}** | {goal(ratio, most=1.01)} |"
