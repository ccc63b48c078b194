"""The monitor in a training loop of one's own.

Where the numbers are taken, in one measured step::

    out = model(x)             <- a batch begins; hooks into the network
    loss = criterion(out, y)   <- the loss functions that are called
    optimizer.zero_grad()
    loss.backward()            <- dL/dh and dL/dx within; when it returns, dL/dW BEFORE clipping; weights are copied
    clip_grad_norm_(...)
    optimizer.step()           <- dL/dW AFTER clipping, and the step taken
    vitals.log(loss)           <- the loss is kept, on the device; hooks come off

Between measured steps there are one hook on the model and one on each optimizer, which compare a few integers.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from numbers import Integral, Real
from os import PathLike
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.amp import GradScaler
from torch.optim import Optimizer

from gradvitals.displayed_monitor import DisplayedMonitor
from gradvitals.distributed.collectives import Collectives
from gradvitals.integrations.forward_hook import ForwardHook, hooks_of
from gradvitals.integrations.loop_hooks import LoopHooks
from gradvitals.integrations.unwrap import network_of, optimizers_of, processes_of
from gradvitals.loggers.open_loggers import OpenLogger, close_loggers, open_loggers
from gradvitals.loops.torch_loop import TorchLoop
from gradvitals.monitor.settings import Settings
from gradvitals.vitals.trained_parameters import held_by

log = logging.getLogger(__name__)


class Vitals(DisplayedMonitor):
    """Watches a model in a training loop of one's own; :func:`watch` makes it.

    Attributes:
        layers, history, non_finite, diagnosis, preflight, stopped_it, seconds_saved: see
            :class:`gradvitals.monitor.monitor.Monitor`.
        loss_divisor: by which backward divides the losses that :meth:`log` is given, where the loop does not do it.

    Args:
        network: what is watched.
        loop: the optimizers and the length of the training.
        settings: what is measured and when.
        loggers: where numbers go.

    Example:
        >>> model = nn.Linear(3, 1)
        >>> vitals = watch(model, torch.optim.SGD(model.parameters(), lr=0.1), auto_stop=True)
        >>> vitals.should_stop, [layer.label for layer in vitals.layers], "loop" in vitals.state_dict()
        (False, [], True)
        >>> vitals.close()
    """

    loss_divisor = 1

    def __init__(
        self, network: nn.Module, loop: TorchLoop, settings: Settings, loggers: Sequence[OpenLogger] = ()
    ) -> None:
        super().__init__(settings)
        self._network, self._loop, self._loggers = network, loop, list(loggers)
        self._hooks: LoopHooks | None = None
        self._was_warned = False
        self._start()

    def _start(self) -> None:
        if not any(True for _ in self._network.parameters()):
            log.warning(
                f"gradvitals: watch expected a model with parameters; {type(self._network).__name__} has no parameters"
            )
            return
        self.begin(self._loop, self._network)
        if self.session:
            self._hooks = LoopHooks(self.session, self._loop, self._network, self._end_for_another)

    @property
    def should_stop(self) -> bool:
        """Whether ``auto_stop`` or ``on_non_finite="stop"`` asks the loop to end: ``if vitals.should_stop: break``."""
        return self._loop.should_stop

    def log(self, loss: Tensor | float | None) -> None:
        """Ends a batch; call it once for each, after its optimizers have stepped.

        Keeps a reference to the loss. Between measured steps nothing is computed, and nothing waits for the device.

        Args:
            loss: of shape ``()``, that of the batch's backward pass, without the factor of a loss scaler; None: not
                known, and the monitor uses what ``backward`` was called on, in measured steps only.
        """
        if self._hooks is not None:
            self._hooks.batch_ends(self._scalar(loss))

    def _scalar(self, loss: object) -> Tensor | None:
        if not isinstance(loss, Tensor) and isinstance(loss, Real):  # numbers of numpy, too
            loss = torch.tensor(float(loss))
        if isinstance(loss, Tensor) and loss.numel() == 1:
            scalar = loss.detach() if loss.ndim == 0 else loss.detach().reshape(())
            return scalar / self.loss_divisor if self.loss_divisor != 1 else scalar
        if loss is not None and not self._was_warned:
            self._was_warned = True
            came = f"a tensor of shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else type(loss).__name__
            log.warning(f"gradvitals: vitals.log expected a loss of one number, such as loss.mean(); got {came}")
        return None

    def close(self) -> None:
        """Judges what came last, removes every hook, and closes the files of numbers. A second call does nothing."""
        self.finish()
        self._stop()

    def _end_for_another(self) -> bool:
        was_open = self._hooks is not None
        self.close()
        return was_open

    def _stop(self) -> None:
        if self._hooks is not None:
            self._hooks.close()
        self._hooks, loggers = None, self._loggers
        super().close()
        close_loggers(loggers)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.close()
        else:
            self._stop()

    def state_dict(self) -> dict[str, Any]:
        """Returns plain values and tensors for a checkpoint."""
        return super().state_dict() | {"loop": {"step": self._loop.step, "optimizer_steps": self._loop.optimizer_steps}}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Resumes from a checkpoint of the same model; call it before the first batch.

        Raises:
            ValueError: the state is none of :meth:`state_dict`.
        """
        if not isinstance(state, dict) or not {"layers", "session", "loop"} <= state.keys():
            came = f"a dict with {sorted(map(str, state))[:5]}" if isinstance(state, dict) else type(state).__name__
            raise ValueError(f"vitals.load_state_dict: expected what vitals.state_dict() returned; got {came}")
        if self._hooks is not None:
            self._hooks.close()
        if self.session is not None:
            self.session.close()
        super().load_state_dict(state)
        self._loop.step, self._loop.optimizer_steps = state["loop"]["step"], state["loop"]["optimizer_steps"]
        self._start()


def watch(
    model: nn.Module,
    optimizer: Optimizer | Sequence[Optimizer],
    *,
    total_steps: int | None = None,
    scaler: GradScaler | None = None,
    accumulate_grad_batches: int = 1,
    log_dir: str | PathLike[str] | None = None,
    logger: Any = None,
    processes: Collectives | None = None,
    every_n_steps: int = 50,
    **settings: Any,
) -> Vitals:
    """Watches the gradients, activations and updates of every layer of a model in a training loop of one's own.

    Call it before the loop and after the model is on its device, compiled or wrapped in DDP; where several processes
    share the batches, in each of them. Numbers, tags and verdicts are those of
    :class:`gradvitals.callbacks.gradient_vitals.GradientVitals`; ``grad_norm`` is before clipping, and
    ``grad_norm_clipped`` after it, in steps in which something changed the gradients between ``backward`` and ``step``.

    Args:
        model: the module that the loop calls; DDP, FSDP2, ``torch.compile`` and the wrappers of Accelerate and Fabric
            are recognized.
        optimizer: the one that steps, or all of them.
        total_steps: optimizer steps of the whole training; None: not known.
        scaler: of a training in float16.
        accumulate_grad_batches: batches whose gradients are added up before a step, if the loss of each was divided by
            their number; 1 if it was not.
        log_dir: folder of event files for TensorBoard; None: none.
        logger: where else to log, or a list of that: a ``SummaryWriter``, a run of W&B or Aim, an experiment of Comet,
            the module ``mlflow``, a logger of Lightning, a path that ends in ``.csv``, or a function
            ``(step, numbers) -> None``.
        processes: those that share the batches; None: all, where DDP or FSDP2 is seen to divide them.
        every_n_steps: measure one step of each optimizer in so many.
        **settings: the other fields of :class:`gradvitals.monitor.settings.Settings`, by name.

    Raises:
        TypeError: no module, no optimizer, or a name that is no setting.
        ValueError: a number out of range; ``noise_scale``, which only a loop that announces its steps can measure.
        UnmatchedPattern: a pattern of ``include`` or ``exclude`` matches no layer.

    Example:
        >>> model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
        >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        >>> with watch(model, optimizer, total_steps=20) as vitals:
        ...     for step in range(20):
        ...         x = torch.randn(16, 4)
        ...         loss = nn.functional.mse_loss(model(x), x.sum(1, keepdim=True))
        ...         optimizer.zero_grad()
        ...         loss.backward()
        ...         optimizer.step()
        ...         vitals.log(loss)
        >>> [layer.label for layer in vitals.layers]
        ['00.0', '01.2']
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"watch: expected a torch.nn.Module and its optimizer; got {type(model).__name__}")
    if isinstance(model, torch.jit.ScriptModule):
        raise TypeError("watch: expected a model that takes hooks; got a ScriptModule. Use the model itself, compiled")
    chosen, network = Settings.of({"every_n_steps": every_n_steps, **settings}), network_of(model)
    if chosen.noise_scale:
        raise ValueError(
            "noise_scale: expected False in watch: a plain loop shows no unclipped gradient of two steps in a row"
        )
    _check_loop(total_steps, scaler, accumulate_grad_batches)
    optimizers, share = optimizers_of(optimizer), processes or processes_of(model)
    _end_earlier(network)
    _check_parameters(network, optimizers)
    active = scaler if scaler is not None and scaler.is_enabled() else None
    loop = TorchLoop(optimizers, total_steps, active, accumulate_grad_batches, share)
    return Vitals(network, loop, chosen, open_loggers(log_dir, logger) if share.rank == 0 else [])


def _check_loop(total_steps: object, scaler: object, accumulate: object) -> None:
    for name, number in (("total_steps", total_steps), ("accumulate_grad_batches", accumulate)):
        is_known = number is not None or name != "total_steps"
        if is_known and (not isinstance(number, Integral) or isinstance(number, bool) or number < 1):
            raise ValueError(f"watch: {name}: expected an integer of at least 1; got {number!r}")
    if scaler is not None and not hasattr(scaler, "is_enabled"):
        raise TypeError(f"watch: scaler: expected a torch.amp.GradScaler; got {type(scaler).__name__}")


def _end_earlier(network: nn.Module) -> None:
    for hook in hooks_of(network).values():
        if isinstance(hook, ForwardHook) and hook.end():
            log.warning(f"gradvitals: this {type(network).__name__} is watched already; the earlier watch ends here")


def _check_parameters(network: nn.Module, optimizers: Sequence[Optimizer]) -> None:
    own = {id(parameter) for parameter in network.parameters()}
    if own and own.isdisjoint(held_by(optimizers)):
        log.warning(
            "gradvitals: watch expected the optimizer of the model; it holds none of the parameters of "
            f"{type(network).__name__}. Make it with torch.optim.Adam(model.parameters())"
        )
