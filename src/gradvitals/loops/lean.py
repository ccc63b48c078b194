"""Lightning's training loop without the calls that nothing listens to.

Around each batch Lightning offers some twenty hooks to every callback, to the module and to the strategy. Most of them
do nothing, and on a small network offering them takes as long as the training. In a plain run (see :func:`is_plain`)
the loop here makes the same calls, in the same order, to those who implement them. Any other run, and every run with
``trainer.lean=false``, uses Lightning's own loop.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from lightning.fabric.utilities.apply_func import convert_tensors_to_scalars
from lightning.pytorch.core.optimizer import LightningOptimizer
from lightning.pytorch.loops.fetchers import _DataFetcher, _DataLoaderIterDataFetcher
from lightning.pytorch.loops.optimization.automatic import Closure, ClosureResult
from lightning.pytorch.plugins.precision import Precision
from lightning.pytorch.profilers import PassThroughProfiler
from lightning.pytorch.strategies import SingleDeviceStrategy
from lightning.pytorch.utilities.signature_utils import is_param_in_hook_signature
from torch import Tensor
from torch.optim import Optimizer

from gradvitals.loops.fused_step import fused_step
from gradvitals.loops.quick_log import QuickLog, QuickResults
from gradvitals.loops.resumable import ResumableEpochLoop, resumable

HOOKS = (
    "on_train_batch_start",
    "on_before_zero_grad",
    "on_before_backward",
    "on_after_backward",
    "on_before_optimizer_step",
    "on_train_batch_end",
)
TRANSFERS = ("on_before_batch_transfer", "transfer_batch_to_device", "on_after_batch_transfer")
STEPS = ("optimizer_zero_grad", "configure_gradient_clipping", "clip_gradients")  # whose defaults are known
STEERING = ("on_train_batch_start", "optimizer_step")  # with these hooks a module changes what the loop does
WRITE_EVERY = 1.0  # seconds; writing at each logged step takes 3 % of a fit of a small network
NO_LOSS = "`training_step` returned `None`. If this was on purpose, ignore this warning..."  # as Lightning says it


def lean(trainer: Trainer) -> Trainer:
    """Gives a Trainer that has not fitted yet the lean loop: the same numbers, calls and files in less time.

    Its fits resume bit for bit (see :mod:`gradvitals.loops.resumable`).

    Example:
        >>> trainer = lean(Trainer(max_epochs=1, accelerator="cpu", logger=False, barebones=True))
        >>> type(trainer.fit_loop.epoch_loop).__name__
        'LeanEpochLoop'
    """
    return resumable(trainer, LeanEpochLoop)


def is_plain(trainer: Trainer) -> bool:
    """Returns whether every batch is one optimizer step, on one device, in the precision of the weights, without a
    profiler, and the module has no hook that changes what the loop does."""
    module = trainer.lightning_module
    return (
        module.automatic_optimization
        and trainer.accumulate_grad_batches == 1
        and not trainer.fit_loop._skip_backward
        and not any(isinstance(optimizer, LightningOptimizer) for optimizer in trainer.optimizers)  # it calls the hooks
        and type(trainer.strategy) is SingleDeviceStrategy
        and trainer.strategy.model is module
        and type(trainer.precision_plugin) is Precision
        and type(trainer.profiler) is PassThroughProfiler  # type: ignore[attr-defined]
        and not any(_overrides(getattr(module, name), LightningModule) for name in STEERING)
    )


def _overrides(hook: Any, base: type) -> bool:
    """Whether a method is not the one of its base class."""
    function = getattr(hook, "__func__", None)
    return callable(hook) and (function is None or function is not getattr(base, function.__name__, None))


def _may_change_loss(hears: Callback | LightningModule) -> bool:
    """Whether a callback or module of others is given the loss before its backward pass, and may change it in place."""
    base = LightningModule if isinstance(hears, LightningModule) else Callback
    is_given = any(_overrides(getattr(hears, name, None), base) for name in ("on_before_backward", "backward"))
    return is_given and type(hears).__module__.partition(".")[0] != "gradvitals"


class LeanEpochLoop(ResumableEpochLoop):
    """The loop over the batches of an epoch, with a shorter path through a batch of a plain run."""

    _is_plain = False
    _log: QuickLog | None = None
    _validates = False  # whether the epoch ends in validation
    _asked_with: tuple[Any, Any] | None = None  # the settings with which that was found; None: not in this epoch
    _written = 0.0  # when loggers last wrote to their files

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._results, self.val_loop._results = QuickResults(training=True), QuickResults(training=False)

    def run(self, data_fetcher: _DataFetcher) -> None:
        try:
            super().run(data_fetcher)
        finally:
            self._is_plain = False  # between two epochs, questions are about the next one

    def on_run_start(self, data_fetcher: _DataFetcher) -> None:
        super().on_run_start(data_fetcher)
        self._asked_with = None
        self._is_plain = is_plain(self.trainer) and not isinstance(data_fetcher, _DataLoaderIterDataFetcher)
        if self._is_plain:
            data_fetcher._start_profiler = data_fetcher._stop_profiler = _nothing
            self._find_listeners()
            if self._log is None or self._log.module is not self.trainer.lightning_module:
                self._log = QuickLog(self.trainer)

    def _find_listeners(self) -> None:
        """Finds the implemented hooks; repeated at each epoch, and where a callback or the optimizer is another one."""
        trainer, module = self.trainer, self.trainer.lightning_module
        self._callbacks = list(trainer.callbacks)  # type: ignore[attr-defined]
        self._listeners = {name: self._listeners_of(name) for name in HOOKS}
        source = trainer._data_connector._datahook_selector.get_instance  # type: ignore[union-attr]
        moves = (partial(self._within, name, getattr(source(name), name)) for name in TRANSFERS)
        self._before, self._transfer, self._after = moves
        self._own = {name for name in STEPS if _overrides(getattr(module, name), LightningModule)}
        self._has_lightnings_log = getattr(module.log, "__func__", None) is LightningModule.log
        self._keeps_loss = not any(map(_may_change_loss, [*self._callbacks, module]))
        self._optimizer = trainer.optimizers[0]
        self._optimizer_step = fused_step(self._optimizer)
        self._wants_index = is_param_in_hook_signature(module.training_step, "batch_idx", min_args=2)

    def _listeners_of(self, name: str) -> list[Callable[..., Any]]:
        module, trainer = self.trainer.lightning_module, self.trainer
        callbacks = [hook for callback in self._callbacks if _overrides(hook := getattr(callback, name), Callback)]
        by_itself = [hook] if _overrides(hook := getattr(module, name), LightningModule) else []
        return [*(partial(hook, trainer, module) for hook in callbacks), *by_itself]

    def advance(self, data_fetcher: _DataFetcher) -> None:
        if not self._is_plain or self.restarting:
            super().advance(data_fetcher)
            return
        self.val_loop.restarting = False
        batch, _, _ = next(data_fetcher)
        batch_idx = self.batch_idx + 1
        self.batch_progress.is_last_batch = data_fetcher.done
        if self.trainer.callbacks != self._callbacks:  # type: ignore[attr-defined]
            self._find_listeners()
        batch = self._after(self._transfer(self._before(batch, 0), self.trainer.strategy.root_device, 0), 0)
        self.batch_progress.increment_ready()
        self._batch(batch, batch_idx)
        self.batch_progress.increment_completed()
        self._send_metrics()

    def _batch(self, batch: Any, batch_idx: int) -> None:
        progress, connector = self.batch_progress, self.trainer._logger_connector
        connector.on_batch_start(batch)
        connector._current_fx = None  # `self.log` sets it to its hook's name
        outputs = None
        if batch is None:
            self._warning_cache.warn("train_dataloader yielded None. If this was on purpose, ignore this warning...")
        else:
            self._call_hooks("on_train_batch_start", batch, batch_idx)
            progress.increment_started()
            outputs = self._step(batch, batch_idx)
        progress.increment_processed()
        self._update_schedulers()
        self._call_hooks("on_train_batch_end", outputs, batch, batch_idx)
        if connector._current_fx is None:  # nothing was logged
            self._results.batch = self._results.batch_size = None
        else:
            connector.on_batch_end()

    def _send_metrics(self) -> None:
        """Sends what was logged to the loggers, which write it to their files once a second, and at an epoch's end."""
        trainer, connector = self.trainer, self.trainer._logger_connector
        is_due = connector.should_update_logs or trainer.fast_dev_run  # type: ignore[attr-defined]
        if not is_due or self._should_accumulate():
            return
        metrics = connector.metrics["log"]
        if "step" in metrics or time.monotonic() - self._written >= WRITE_EVERY:
            connector.log_metrics(metrics)
            self._written = time.monotonic()
            return
        if numbers := convert_tensors_to_scalars(metrics):
            numbers.setdefault("epoch", trainer.current_epoch)
            for logger in trainer.loggers:
                logger.log_metrics(metrics=numbers, step=self._batches_that_stepped)

    def _step(self, batch: Any, batch_idx: int) -> dict[str, Any]:
        """Runs forward, backward and step; returns what ``training_step`` returned, the loss without its graph."""
        optimizer, steps = self.trainer.optimizers[0], self.automatic_optimization.optim_progress.optimizer.step
        if self.trainer.accumulate_grad_batches != 1:  # a callback has changed it
            self._is_plain = False
            arguments = self._build_kwargs(OrderedDict(), batch, batch_idx)
            return self.automatic_optimization.run(optimizer, batch_idx, arguments)
        if optimizer is not self._optimizer:
            self._find_listeners()
        result: ClosureResult | None = None

        def closure() -> Tensor | None:
            nonlocal result
            with torch.enable_grad():  # as Lightning's closure does, whatever the optimizer does
                result = self._result(batch, batch_idx)
                self._zero_grad(batch_idx, optimizer)
                if result.closure_loss is None:
                    Closure.warning_cache.warn(NO_LOSS)
                else:
                    self._backward(result.closure_loss)
            self._call_hooks("on_before_optimizer_step", optimizer)
            self._clip(optimizer)
            return result.loss

        steps.increment_ready()
        self._within("optimizer_step", self._optimizer_step, closure=closure)
        steps.increment_completed()
        if result is None:
            Closure(dict).consume_result()  # type: ignore[arg-type]  # raises Lightning's error: it was not called
        return {} if result is None or result.loss is None else result.asdict()

    def _result(self, batch: Any, batch_idx: int) -> ClosureResult:
        module = self.trainer.lightning_module
        arguments = (batch, batch_idx) if self._wants_index else (batch,)
        if self._has_lightnings_log:
            vars(module)["log"] = self._log
        try:
            returned = self._within("training_step", module.training_step, *arguments)
        finally:
            if self._has_lightnings_log:
                del vars(module)["log"]
        if isinstance(returned, Tensor) and self._keeps_loss:  # without Lightning's division by one
            return ClosureResult(returned)
        return ClosureResult.from_training_step_output(returned)

    def _zero_grad(self, batch_idx: int, optimizer: Optimizer) -> None:
        trainer, counts = self.trainer, self.automatic_optimization.optim_progress.optimizer.zero_grad
        counts.increment_ready()
        self._call_hooks("on_before_zero_grad", optimizer)
        counts.increment_started()
        if "optimizer_zero_grad" in self._own or _overrides(optimizer.zero_grad, Optimizer):
            zero = trainer.lightning_module.optimizer_zero_grad
            self._within("optimizer_zero_grad", zero, trainer.current_epoch, batch_idx, optimizer)
        else:  # what torch does, without its record for profilers
            for group in optimizer.param_groups:
                for parameter in group["params"]:
                    parameter.grad = None
        counts.increment_completed()

    def _backward(self, loss: Tensor) -> None:
        self._call_hooks("on_before_backward", loss)
        self._within("backward", self.trainer.lightning_module.backward, loss)
        self._call_hooks("on_after_backward")

    def _clip(self, optimizer: Optimizer) -> None:
        val, algorithm = self.trainer.gradient_clip_val, self.trainer.gradient_clip_algorithm
        if val is None and self._own.isdisjoint(("configure_gradient_clipping", "clip_gradients")):
            return
        clip = self.trainer.lightning_module.configure_gradient_clipping
        hook = "configure_gradient_clipping"
        self._within(hook, clip, optimizer, gradient_clip_val=val, gradient_clip_algorithm=algorithm)

    def _update_schedulers(self) -> None:
        if not self.trainer.lr_scheduler_configs:
            return
        self.update_lr_schedulers("step", update_plateau_schedulers=False)
        if self._num_ready_batches_reached():
            self.update_lr_schedulers("epoch", update_plateau_schedulers=False)

    def _should_check_val_epoch(self) -> bool:
        if not self._is_plain:
            return super()._should_check_val_epoch()
        trainer: Any = self.trainer
        settings = trainer.limit_val_batches, trainer.check_val_every_n_epoch  # a callback may change them
        if settings != self._asked_with:
            self._asked_with, self._validates = settings, super()._should_check_val_epoch()
        return self._validates

    def _should_accumulate(self) -> bool:
        return self.trainer.accumulate_grad_batches != 1 and super()._should_accumulate()

    def _call_hooks(self, name: str, *args: Any) -> None:
        if hooks := self._listeners[name]:
            self._within(name, _call_all, hooks, args)

    def _within(self, name: str, hook: Callable[..., Any], *args: Any, **settings: Any) -> Any:
        """Calls a hook under its name, by which `self.log` knows what is allowed there."""
        attributes = vars(self.trainer.lightning_module)  # bypasses torch's slow __setattr__
        outer, attributes["_current_fx_name"] = attributes["_current_fx_name"], name
        returned = hook(*args, **settings)
        attributes["_current_fx_name"] = outer
        return returned


def _call_all(hooks: list[Callable[..., Any]], args: tuple[Any, ...]) -> None:
    for hook in hooks:
        hook(*args)


def _nothing() -> None:
    """Takes the place of a profiler's calls."""
