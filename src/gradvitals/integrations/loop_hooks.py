"""Hooks on model, optimizers and loss scaler, which show a session of the monitor what a training loop does."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any
from weakref import finalize

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.optim import Optimizer

from gradvitals.integrations.forward_hook import ForwardHook, Result, call_added, hooks_of
from gradvitals.integrations.scaler_methods import ScalerMethod
from gradvitals.loops.torch_loop import TorchLoop
from gradvitals.monitor.collectors.optimizer_step import parameters
from gradvitals.monitor.isolation import report
from gradvitals.monitor.network import has_compiled, uncompiled, uncompiled_call
from gradvitals.monitor.session import SESSION, Session
from gradvitals.vitals.backward_calls import BackwardCalls, GradientsArrive
from gradvitals.vitals.hooks import remove, tensors_in, weak

log = logging.getLogger(__name__)

LEAST_SCALE = 2.0**7  # of a loss, from which on it is taken for that of a scaler
Entered = BackwardCalls | GradientsArrive | uncompiled  # for a measured batch


class LoopHooks:
    """Calls the methods of a session at the places of a training loop where they belong.

    A batch begins with the first forward call with gradients enabled after the batch before. It ends with
    :meth:`batch_ends`; where nobody calls that, with the first forward call after all optimizers have stepped.
    A forward call in evaluation mode begins no batch, unless the network trains in that mode. Where the network itself
    is never called, because its parts or a compiled copy are, each batch but the first begins when the one before ends.

    Args:
        end: ends the watch.
    """

    def __init__(self, session: Session, loop: TorchLoop, network: nn.Module, end: Callable[[], bool]) -> None:
        self._session, self._loop, self._scaler = session, loop, loop.scaler
        self._is_in_batch = self._is_in_scaler = self._is_in_step = False
        self._trains_in_eval_mode = self._saw_eval_mode = False
        self._calls_parts = type(network).forward is nn.Module.forward  # it has none of its own
        self._batch_idx = 0
        self._closure_of: Optimizer | None = None
        self._of_backward: Tensor | None = None  # of a measured batch
        self._has_looked_for_scaler = False
        self._of_batch, self._entered = ExitStack(), list[Entered]()
        self._calls: BackwardCalls | None = None
        finalize(self, _leave, self._entered)  # where the loop is broken off and forgotten
        hook = ForwardHook(self._forward_begins, end)
        self._hooks = [network.register_forward_pre_hook(hook, with_kwargs=True)]
        begins, ended = uncompiled_call(self._step_begins), uncompiled_call(self._step_ended)
        self._hooks += [one.register_step_pre_hook(begins) for one in loop.optimizers]
        self._hooks += [one.register_step_post_hook(ended) for one in loop.optimizers]
        self._of_scaler: list[ScalerMethod] = []
        if self._scaler is not None:
            calls: dict[str, Callable[..., Any]] = {"step": self._scaler_steps, "unscale_": self._scaler_unscales}
            self._of_scaler = [ScalerMethod(self._scaler, name, call) for name, call in calls.items()]
        if self._calls_parts:
            self._safely(self._begin, None, session.is_due)

    # What the hooks see, in the order of a batch

    def _forward_begins(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Result:
        goes_on = self._is_in_batch and (self._is_in_step or not self._loop.all_have_stepped)
        if goes_on or not torch.is_grad_enabled():
            return None
        if not (module.training or self._trains_in_eval_mode):
            self._saw_eval_mode = True
            return None
        if self._is_in_batch:
            self.batch_ends(None)
        if self._is_in_batch:  # the next one begins by itself
            return None
        if not self._session.is_due:  # nothing looks at the input, and no hook is added
            self._safely(self._begin, None, False)
            return None
        known = set(hooks_of(module))
        self._safely(self._begin, next(tensors_in([*args, *kwargs.values()]), None), True)
        return call_added(module, known, args, kwargs)

    def _begin(self, x: Tensor | None, is_due: bool) -> None:
        self._is_in_batch = True
        if is_due:
            if self._loop.processes.total == 1:  # gradients that arrive are not yet those of all processes
                held = [one for optimizer in self._loop.optimizers for one in parameters(optimizer)]
                trained = [one for one in held if one.requires_grad and not is_lazy(one)]
                self._enter(GradientsArrive(trained, weak(self._gradients_arrived)))
            self._calls = BackwardCalls(weak(self._backward_begins), weak(self._backward_ended))
            self._enter(self._calls)
            self._enter(uncompiled(self._calls_parts and has_compiled()))
        self._session.batch_begins(() if x is None else (x,), self._batch_idx)

    def _gradients_arrived(self) -> None:
        if self._calls is not None and not self._calls.is_within:
            self._safely(self._backward_ended)

    def _enter(self, context: Entered) -> None:
        self._of_batch.enter_context(context)
        self._entered.append(context)

    def _backward_begins(self, loss: Tensor) -> None:
        self._of_backward = loss
        self._safely(self._session.before_backward, loss)

    def _backward_ended(self) -> None:
        self._session.after_backward()
        self._before_closures_step()

    def _before_closures_step(self) -> None:
        optimizer, self._closure_of = self._closure_of, None
        if optimizer is not None:
            self._session.before_step(optimizer)

    def _step_begins(self, optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._is_in_step = True
        if not self._is_in_scaler:
            has_closure = bool(args or kwargs) and any(map(callable, (*args, *kwargs.values())))
            self._safely(self._step, optimizer, has_closure)

    def _step_ended(self, *_: Any) -> None:
        self._is_in_step = False

    def _step(self, optimizer: Optimizer, has_closure: bool) -> None:
        if self._closure_of is not None:
            self._before_closures_step()
        self._loop.step_begins(optimizer)
        if self._calls is not None and self._loop.all_have_stepped and not has_closure:
            self._calls.leave()  # no backward pass is to come, and the mode sees each operation of the step
        if has_closure:
            self._closure_of = optimizer
        elif self._is_in_batch:
            self._session.before_step(optimizer)
        else:
            self._session.step_passed(optimizer)
            self._trains_in_eval_mode = self._trains_in_eval_mode or self._saw_eval_mode
            self._calls_parts = not self._saw_eval_mode
            network = self._session.network
            network.is_compiled = network.is_compiled or (self._calls_parts and has_compiled())

    def _scaler_steps(self, step: Callable[..., Any], optimizer: Optimizer, *args: Any, **kwargs: Any) -> Any:
        if optimizer not in self._loop.optimizers:
            return step(optimizer, *args, **kwargs)
        self._safely(self._step, optimizer, False)
        self._is_in_scaler = True
        try:
            return step(optimizer, *args, **kwargs)
        finally:
            self._is_in_scaler = False

    def _scaler_unscales(self, unscale: Callable[..., Any], optimizer: Optimizer) -> None:
        unscale(optimizer)
        if optimizer in self._loop.optimizers:
            self._safely(self._session.gradients_unscaled, optimizer)

    def batch_ends(self, loss: Tensor | None) -> None:
        """Ends a batch, with the loss of its backward pass; None: not known."""
        self._safely(self._end, loss)

    def _end(self, loss: Tensor | None) -> None:
        if self._closure_of is not None:
            self._before_closures_step()
        if self._of_backward is not None:
            self._look_for_scaler(loss, self._of_backward)
            self._of_backward = None
        is_in_batch, self._is_in_batch = self._is_in_batch, False
        self._saw_eval_mode = False
        self._batch_idx += 1
        has_stepped = bool(self._loop.stepped)
        self._loop.batch_ends()
        if is_in_batch:
            self._session.batch_ends(loss)
        if has_stepped:  # the model may be saved, copied or evaluated before the next step
            self._session.unhook()
        if self._entered:
            self._leave()
        if self._calls_parts:
            self._begin(None, self._session.is_due)

    def _look_for_scaler(self, loss: Tensor | None, scaled: Tensor) -> None:
        """Warns once where backward is called on the loss times a power of two, as a scaler chooses it.

        Waits for the device, after a measured step, until a finite loss has shown it.
        """
        if loss is None or self._scaler is not None or self._has_looked_for_scaler:
            return
        ratio = scaled.detach().sum().item() / (loss.item() or math.nan)
        self._has_looked_for_scaler = math.isfinite(ratio)
        is_product = scaled.grad_fn is not None and scaled.grad_fn.name() == "MulBackward0"
        if is_product and ratio >= LEAST_SCALE and abs(math.log2(ratio) - round(math.log2(ratio))) < 1e-3:
            log.warning(
                f"gradvitals: watch expected backward on the loss that vitals.log is given; it is {ratio:.0f} times "
                "that, as by a GradScaler, and so is each gradient. Call watch(..., scaler=scaler)"
            )

    def close(self) -> None:
        """Removes every hook."""
        self._leave()
        remove(self._hooks)
        for method in self._of_scaler:
            method.remove()

    def _leave(self) -> None:
        self._of_batch.close()
        self._entered.clear()
        self._calls = None

    def _safely(self, function: Callable[..., None], *args: Any) -> None:
        """Calls a function whose error must not end the training, unless other processes would wait for this one."""
        try:
            function(*args)
        except Exception as error:
            if self._loop.processes.total > 1:
                raise
            self.close()
            self._session.close()
            log.warning(report(SESSION, error))


def _leave(entered: list[Entered]) -> None:
    for context in entered:
        context.leave()
