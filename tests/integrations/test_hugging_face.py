"""The callback in the real Trainer: its numbers are those of plain autograd in float64, before and after clipping."""

from __future__ import annotations

import copy
import os
import sys
from math import inf
from pathlib import Path
from statistics import mean
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import nn

os.environ |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}

from transformers import (
    BertConfig,
    BertForSequenceClassification,
    GPT2Config,
    GPT2LMHeadModel,
    Trainer,
    TrainerState,
    TrainingArguments,
)

from gradvitals.integrations.hugging_face import GradientVitalsCallback
from gradvitals.integrations.reporting import reporters
from tests.integrations.net import MOST, RATE, SCALE, SIZE, Kept, Net, batches, expected, hooks_of, scaled

STEPS = 6


def rows(number: int) -> list[dict[str, Any]]:
    return [{"x": x, "labels": y} for inputs, labels in batches(number) for x, y in zip(inputs, labels, strict=True)]


def trainer_of(net: nn.Module, callback: GradientVitalsCallback, out: Path, **options: Any) -> Trainer:
    data = options.pop("train_dataset", None) or rows(STEPS * options.get("gradient_accumulation_steps", 1))
    arguments: dict[str, Any] = {
        "output_dir": str(out),
        "use_cpu": True,
        "report_to": "none",
        "save_strategy": "no",
        "disable_tqdm": True,
        "logging_strategy": "no",
        "optim": "sgd",
        "learning_rate": RATE,
        "lr_scheduler_type": "constant",
        "max_grad_norm": MOST,
        "per_device_train_batch_size": SIZE,
        "train_sampling_strategy": "sequential",
        "num_train_epochs": 1,
        "dataloader_pin_memory": False,
    }
    held = rows(2) if options.get("eval_strategy") else None
    given = TrainingArguments(**(arguments | options))
    return Trainer(net, given, train_dataset=data, eval_dataset=held, callbacks=[callback])


def watched(**settings: Any) -> tuple[GradientVitalsCallback, Kept]:
    kept = Kept()
    return GradientVitalsCallback(every_n_steps=1, logger=kept, **settings), kept


@pytest.mark.parametrize("accumulates", [1, 2])
@pytest.mark.parametrize("clips", [MOST, 0.0])
def test_the_numbers_are_those_of_autograd(accumulates, clips, tmp_path):
    net, (callback, kept) = Net(), watched()
    micro = batches(STEPS * accumulates)
    steps = expected(net, micro, accumulates, clips or inf)  # without clipping, the Trainer multiplies by one
    trainer = trainer_of(net, callback, tmp_path, gradient_accumulation_steps=accumulates, max_grad_norm=clips)
    trainer.train()
    kept.assert_agrees(steps)
    assert hooks_of(net) == 0


def test_the_losses_of_all_steps_are_known(tmp_path):
    net, callback = Net(), GradientVitalsCallback(every_n_steps=STEPS - 1, first_steps=0)
    seen = []
    net.register_forward_hook(lambda _, __, output: seen.append(output["loss"].item()) if net.training else None)
    trainer_of(net, callback, tmp_path, gradient_accumulation_steps=2).train()
    of_all = {0: seen[0], STEPS - 1: mean(seen[1:-1]), STEPS: seen[-1]}  # measured in the midst of its last batch
    assert callback.vitals.losses == pytest.approx(of_all, rel=1e-5)


def test_with_a_loss_scaler(tmp_path):
    net, (callback, kept) = Net(), watched()
    steps = expected(net, batches(2 * STEPS), 2)
    trainer = trainer_of(net, callback, tmp_path, gradient_accumulation_steps=2)
    scaled(trainer.accelerator)
    trainer.train()
    kept.assert_agrees(steps)
    assert kept.steps[1]["scaler/scale"] == SCALE


@pytest.mark.filterwarnings("ignore:Using .torch.compile:UserWarning")  # the first step finds the order of the layers
def test_a_compiled_model_is_measured_from_the_second_step_on(tmp_path):
    net, (callback, kept) = Net(), watched()
    steps = expected(net, batches(STEPS), 1)
    trainer_of(net, callback, tmp_path, torch_compile=True, torch_compile_backend="eager").train()
    kept.assert_agrees(steps[1:], first=1)
    assert hooks_of(net) == 0


def test_evaluation_between_steps_changes_nothing_and_its_metrics_are_witnesses(tmp_path):
    net, (callback, kept) = Net(), watched()
    steps = expected(net, batches(STEPS), 1)
    trainer_of(
        net, callback, tmp_path, eval_strategy="steps", eval_steps=2, logging_strategy="steps", logging_steps=2
    ).train()
    kept.assert_agrees(steps)
    metrics = callback.vitals._verdict.run.history.metrics
    assert [step for step, _ in metrics["eval_loss"].values] == [2, 4, 6]


def test_a_training_that_fails_leaves_no_hook_after_close_and_the_next_one_is_right(tmp_path):
    class Broken(Net):
        calls = 0

        def forward(self, x, labels=None):
            self.calls += 1
            if self.calls == 3:
                raise RuntimeError("broken")
            return super().forward(x, labels)

    net, (callback, kept) = Broken(), watched()
    trainer = trainer_of(net, callback, tmp_path)
    with pytest.raises(RuntimeError, match="broken"):
        trainer.train()
    kept.steps.clear()
    steps = expected(net, batches(STEPS), 1)
    trainer.train()
    kept.assert_agrees(steps)
    assert hooks_of(net) == 0
    net.calls = 0
    with pytest.raises(RuntimeError, match="broken"):
        trainer.train()
    callback.close()
    assert hooks_of(net) == 0


def test_a_resumed_training_continues(tmp_path):
    first, whole = Net(), watched()
    start = copy.deepcopy(first.state_dict())
    trainer_of(first, whole[0], tmp_path / "whole").train()
    net, (callback, _) = Net(), watched()
    net.load_state_dict(start)
    trainer_of(net, callback, tmp_path / "two", save_strategy="steps", save_steps=3, max_steps=STEPS).train()
    resumed, (again, rest) = Net(), watched()
    trainer = trainer_of(resumed, again, tmp_path / "two", max_steps=STEPS)
    trainer.train(resume_from_checkpoint=str(tmp_path / "two" / "checkpoint-3"))
    assert sorted(rest.steps) == [3, 4, 5]
    for step in rest.steps:
        assert rest.steps[step] == pytest.approx(whole[1].steps[step], rel=1e-6, abs=1e-9)
    assert again.vitals.first.totals == whole[0].vitals.first.totals
    assert again.vitals.losses == pytest.approx(whole[0].vitals.losses)


@pytest.mark.parametrize("kind", ["bert", "gpt2"])
def test_models_of_transformers(kind, tmp_path):
    small: dict[str, Any] = {"vocab_size": 20}
    tokens = torch.randint(20, (STEPS * 2 * SIZE, 6), generator=torch.Generator().manual_seed(0))
    if kind == "bert":
        sizes = {"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16}
        off = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
        net: nn.Module = BertForSequenceClassification(BertConfig(**small, **sizes, **off))
        data = [{"input_ids": row, "labels": int(row[0]) % 2} for row in tokens]
    else:
        off = {"embd_pdrop": 0.0, "attn_pdrop": 0.0, "resid_pdrop": 0.0, "bos_token_id": 0, "eos_token_id": 0}
        net = GPT2LMHeadModel(GPT2Config(**small, n_embd=8, n_layer=2, n_head=2, n_positions=8, **off))
        data = [{"input_ids": row, "labels": row} for row in tokens]
    by_hand, inputs = copy.deepcopy(net).double(), []
    net.register_forward_pre_hook(lambda _, __, given: inputs.append(given), with_kwargs=True)
    callback, kept = watched()
    trainer_of(net, callback, tmp_path, train_dataset=data, gradient_accumulation_steps=2).train()
    losses = [
        by_hand(**given).loss for given in inputs[:2]
    ]  # which the Trainer does not divide: see num_items_in_batch
    assert all("num_items_in_batch" in given for given in inputs)
    sum(losses).backward()
    total = torch.stack([p.grad.norm() for p in by_hand.parameters() if p.grad is not None]).norm().item()
    found = kept.steps[0]
    assert len(kept.steps) == STEPS
    assert found["grad_norm/total"] == pytest.approx(total, rel=1e-4)
    assert found["grad_norm_clipped/total"] == pytest.approx(min(total, MOST), rel=1e-4)
    modules = dict(by_hand.named_modules())
    of_layers = {layer.label: modules[layer.name] for layer in callback.vitals.layers if layer.name in modules}
    assert len(of_layers) > 8
    for label, module in of_layers.items():
        norm = module.weight.grad.norm().item()
        assert found[f"grad_norm/{label}"] == pytest.approx(norm, rel=1e-4, abs=1e-6)
    assert callback.vitals.losses[0] == pytest.approx(2 * losses[0].item(), rel=1e-4)
    assert str(callback) == str(callback.vitals)


def test_the_norm_that_the_trainer_logs_is_the_one_before_clipping(tmp_path):
    net, (callback, kept) = Net(), watched()
    trainer = trainer_of(net, callback, tmp_path, logging_strategy="steps", logging_steps=1)
    trainer.train()
    logged = [entry["grad_norm"] for entry in trainer.state.log_history if "grad_norm" in entry]
    assert logged == pytest.approx([kept.steps[step]["grad_norm/total"] for step in range(STEPS)], rel=1e-5)


def test_auto_stop_ends_the_training(tmp_path):
    net, callback = Net(), GradientVitalsCallback(every_n_steps=1)
    trainer = trainer_of(net, callback, tmp_path)

    def stop(args, state, control, **kwargs):
        callback.vitals.session.loop.should_stop = state.global_step == 1

    callback.on_step_begin = stop
    trainer.train()
    assert trainer.state.global_step == 2


def test_numbers_go_where_the_trainer_reports(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    callback = GradientVitalsCallback(every_n_steps=1)
    trainer_of(Net(), callback, tmp_path, report_to="tensorboard", logging_strategy="steps", logging_steps=1).train()
    (folder,) = {file.parent for file in tmp_path.rglob("events.out.tfevents.*")}
    events = EventAccumulator(str(folder)).Reload()
    assert {"train/grad_norm", "grad_norm/total", "grad_norm_clipped/00.body.0"} <= set(events.Tags()["scalars"])


def test_runs_of_other_trackers_are_found_where_the_trainer_has_begun_them(tmp_path, monkeypatch):
    wandb, mlflow = ModuleType("wandb"), ModuleType("mlflow")
    wandb.run = object()
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    monkeypatch.setitem(sys.modules, "mlflow", mlflow)
    arguments = TrainingArguments(output_dir=str(tmp_path), report_to="none", use_cpu=True)
    arguments.report_to = ["wandb", "mlflow"]
    first, other = TrainerState(is_world_process_zero=True), TrainerState(is_world_process_zero=False)
    assert reporters(arguments, first) == {"log_dir": None, "logger": [wandb.run, mlflow]}
    assert reporters(arguments, other) == {"log_dir": None, "logger": None}


def test_a_model_can_be_copied_within_the_training(tmp_path):
    net, (callback, kept) = Net(), watched()
    steps, copies = expected(net, batches(STEPS), 1), []
    callback.on_step_begin = lambda *_, model, **__: copies.append(copy.deepcopy(model))
    trainer_of(net, callback, tmp_path).train()
    copies[-1].train()(*batches(1)[0])
    kept.assert_agrees(steps)


def test_settings_are_checked_when_the_callback_is_made():
    with pytest.raises(TypeError, match="every_n_step"):
        GradientVitalsCallback(every_n_step=3)
    with pytest.raises(ValueError, match="every_n_steps"):
        GradientVitalsCallback(every_n_steps=0)
    assert str(GradientVitalsCallback()) == "no training yet"
