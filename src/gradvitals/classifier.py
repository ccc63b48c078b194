"""The LightningModule: a network, a loss, an optimizer and clipping, all built from plain values.

Its hyperparameters are dicts, lists, numbers and strings, so a checkpoint loads with ``weights_only=True`` and suffices
to rebuild the model::

    model = Classifier.load_from_checkpoint("checkpoints/best.ckpt")
"""

from __future__ import annotations

import bisect
import logging
import math
import warnings
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from lightning import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence
from torch.optim import Optimizer
from torchmetrics import Metric, MetricCollection

from gradvitals.activations import activation
from gradvitals.build import accepts, build, resolve
from gradvitals.clipping import clip_adaptive_, clip_per_parameter_, clip_to_norm_, percentile_threshold, total_norm
from gradvitals.distributed.dtensor import is_sharded
from gradvitals.distributed.sharding import shard
from gradvitals.losses import AUTO_LOSS, loss_function, steps_as_samples
from gradvitals.lr_schedule import FitLength, LRSchedule
from gradvitals.metrics import MeanLoss, RunningAccuracy, chosen_metrics, metric_collection
from gradvitals.nets.init import LAYERS, initialize

if TYPE_CHECKING:
    import pandas as pd

    from gradvitals.tabular.preparation import Preparation

log = logging.getLogger(__name__)
Batch = tuple[Tensor | PackedSequence, Tensor]
ROWS = 8192  # of a table that are predicted at once


def _largest(outputs: Tensor) -> Tensor:
    return outputs.argmax(1)


def _positive(outputs: Tensor) -> Tensor:
    return outputs.squeeze(1) > 0


class Classifier(LightningModule):
    """Trains a network for multiclass or binary classification, or for regression.

    Logs ``train/loss`` every ``log_every_n_steps``, and ``val/loss``, ``test/loss`` with the metrics per epoch. Where
    ``acc`` is one of them, ``train/acc`` is the accuracy over the samples of the epoch, while the network learns. With
    outputs ``(batch, steps, classes)`` and targets ``(batch, steps)`` each step counts as a sample.

    Args:
        model: spec of the network (see :func:`gradvitals.build.build`); it receives ``in_features``, ``out_features``,
            ``in_shape``, ``each_step`` and ``act`` (a factory of modules) if its signature has them.
        in_features: features of one flattened sample.
        num_classes: number of classes; 1 for regression.
        task: ``multiclass``, ``binary`` (labels 0 and 1, one logit) or ``regression``.
        act: ``name`` and parameters of the activation.
        init: ``name`` and arguments of :func:`gradvitals.nets.init.initialize`.
        optimizer: spec of a ``torch.optim.Optimizer``.
        scheduler: spec of :class:`gradvitals.lr_schedule.LRSchedule`; None or no ``_target_``: a constant rate.
        clip: ``name`` (``per_parameter``, ``agc``, ``percentile``) and ``val``; the Trainer clips by norm and value.
        loss, class_weight: see :func:`gradvitals.losses.loss_function`.
        metrics: names, see :func:`gradvitals.metrics.metric_collection`; None: ``acc``, for a regression ``r2``.
        preparation: what was fitted to the training table (:meth:`gradvitals.tabular.preparation.Preparation.to_dict`);
            None: the model was not trained on a table.
        in_shape: of one sample: ``(features,)``, ``(steps, features)`` or ``(channels, height, width)``; None:
            ``(in_features,)``, also in checkpoints of versions before it.
        each_step: whether the data have a target for each time step.

    Attributes:
        metric_names: what is logged beside the loss; the first is on the progress bar.

    Example:
        >>> model = Classifier({"_target_": "gradvitals.nets.mlp.MLP", "depth": 2}, in_features=4, num_classes=3)
        >>> model(torch.zeros(5, 4)).shape
        torch.Size([5, 3])
    """

    def __init__(
        self,
        model: dict[str, Any],
        in_features: int,
        num_classes: int,
        task: str = "multiclass",
        act: dict[str, Any] | None = None,
        init: dict[str, Any] | None = None,
        optimizer: dict[str, Any] | None = None,
        scheduler: dict[str, Any] | None = None,
        clip: dict[str, Any] | None = None,
        loss: str = "auto",
        class_weight: Sequence[float] | None = None,
        metrics: Sequence[str] | None = None,
        preparation: dict[str, Any] | None = None,
        in_shape: Sequence[int] | None = None,
        each_step: bool = False,
    ) -> None:
        super().__init__()
        in_shape = list(in_shape or [in_features])
        act, init = act or {"name": "relu"}, init or {"name": "auto"}
        self.save_hyperparameters(logger=False)
        if class_weight is not None and len(class_weight) != num_classes:
            raise ValueError(
                f"class_weight: expected {num_classes} numbers, one of each class; got {len(class_weight)}"
            )
        self.loss = loss_function(task, loss, class_weight)
        outputs = self.outputs = num_classes if task == "multiclass" else 1
        sizes = {"in_features": in_features, "in_shape": in_shape, "out_features": outputs}
        offers = sizes | {"each_step": each_step, "act": activation(**act)}
        self.net = build(model, nn.Module, offers)
        if loss != "mean" and getattr(self.net, "out_features", outputs) != outputs:
            raise ValueError(f"model.head=false gives {self.net.out_features} outputs; the data wants {outputs}")
        takes_act = "act" in accepts(resolve(model["_target_"], nn.Module))[0]
        if takes_act or init["name"] != "auto":  # a user's network without the argument `act` keeps its own weights
            initialize(self.net, act=act, **init)
        self.lr_schedule = LRSchedule(scheduler) if scheduler and scheduler.get("_target_") else None  # None: constant
        self._check_optimizer_and_scheduler()
        self.metric_names = chosen_metrics(task, metrics)
        self.val_metrics = metric_collection(task, num_classes, metrics)
        self.test_metrics = self.val_metrics.clone()
        self.processes = 1  # until a Trainer says how many train
        self.epoch_began: int | None = 0  # at which step; None: resumed from a checkpoint that does not say it
        self.classes_of = _largest if task == "multiclass" else _positive
        self._begin_epoch()
        self.mean_losses = nn.ModuleDict({stage: MeanLoss() for stage in ("val", "test")})
        self.total_norms: list[float] = []  # ascending, for clip=percentile

    @property
    def has_usual_loss(self) -> bool:
        """Whether it minimizes the usual loss of its task, without weights of classes."""
        return self.hparams["loss"] in ("auto", AUTO_LOSS[self.hparams["task"]]) and not self.hparams["class_weight"]

    def configure_model(self) -> None:
        """Shards the network if the strategy has a mesh of devices (``trainer=fsdp``)."""
        if self.device_mesh is not None:
            shard(self.net, self.device_mesh["data_parallel"])

    def forward(self, x: Tensor | PackedSequence) -> Tensor:
        return self.net(x)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        x, y = batch
        outputs = self.net(x)
        if outputs.ndim == 3:
            outputs, y = steps_as_samples(outputs, y)
        loss = self.loss(outputs, y)
        if "acc" in self.metric_names:
            self.train_accuracy.add(batch_idx, self.classes_of(outputs), y)
        every = self.trainer.log_every_n_steps  # type: ignore[attr-defined]
        step = self.trainer.global_step
        if step == 0 or (step + 1) % every == 0:  # self.log costs more than a small net's step
            self.log("train/loss", loss.detach(), sync_dist=self.trainer.world_size > 1)
        return loss

    def setup(self, stage: str) -> None:
        self.processes, self.epoch_began = self.trainer.world_size, 0
        self._begin_epoch()  # an epoch that was interrupted is not counted, unless the fit resumes it

    def _begin_epoch(self) -> None:
        self.train_accuracy = RunningAccuracy()
        self.counted_before = (0, 0)  # the right samples of the epoch and all, of all processes, before a resume

    def on_train_epoch_end(self) -> None:
        right, samples = self._counted()
        if samples:
            self.log("train/acc", right / samples, sync_dist=True)
        self._begin_epoch()
        self.epoch_began = self.trainer.global_step

    def _counted(self) -> tuple[Tensor, int]:
        """Returns the right training samples of the epoch and all of them. A collective call."""
        right, samples = self.train_accuracy.right, self.train_accuracy.samples
        if self.processes > 1:
            both = torch.stack([right.to(self.device), torch.tensor(samples, device=self.device)])
            right, samples = self.trainer.strategy.reduce(both, reduce_op="sum")
        right_before, samples_before = self.counted_before
        return right + right_before, int(samples) + samples_before

    @property
    def metric_name(self) -> str:
        """The metric that is on the progress bar."""
        return self.metric_names[0]

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        self._evaluate(batch, "val", self.val_metrics)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        self._evaluate(batch, "test", self.test_metrics)

    def _evaluate(self, batch: Batch, stage: str, metrics: MetricCollection) -> None:
        x, y = batch
        outputs, y = steps_as_samples(self.net(x), y)
        metrics.update(self._predictions(outputs), y)
        mean_loss = self._mean_loss(stage, self.loss(outputs, y), len(y))
        # A group of one process (trainer=ddp_cpu trainer.devices=1) logs a tensor: Lightning warns without sync_dist.
        self.log(f"{stage}/loss", mean_loss, batch_size=len(y), sync_dist=True)
        by_name = dict(metrics.items(copy_state=False))
        for name in self.metric_names:
            self.log(f"{stage}/{name}", by_name[name], prog_bar=name == self.metric_name, batch_size=len(y))

    def _mean_loss(self, stage: str, loss: Tensor, samples: int) -> Tensor | Metric:
        if self.trainer.world_size == 1:  # where Lightning's mean over the batches is right
            return loss
        mean: Metric = self.mean_losses[stage]  # type: ignore[assignment]
        mean.update(loss, samples)
        return mean

    def _predictions(self, outputs: Tensor) -> Tensor:
        # torchmetrics would take logits that are all between 0 and 1 for probabilities. In float32, because half
        # precision would make many of them equal, which auroc could not rank.
        if self.hparams["task"] == "multiclass":
            return outputs.float().softmax(1)
        return outputs.squeeze(1).float().sigmoid() if self.hparams["task"] == "binary" else outputs.squeeze(1)

    @property
    def preparation(self) -> Preparation | None:
        """What was fitted to the training table; None where the model was not trained on a table."""
        if self.hparams["preparation"] is None:
            return None
        from gradvitals.tabular.preparation import Preparation  # which imports pandas and scikit-learn

        return Preparation.from_dict(self.hparams["preparation"])

    def predict_table(
        self, frame: pd.DataFrame, warn: bool = True, preparation: Preparation | None = None
    ) -> pd.DataFrame:
        """Predicts every row of a table, whose columns are found by their names.

        Args:
            frame: the columns of the training table in any order; the target's is not needed. Strings are read as the
                training file was; numbers, dates and categories may have their own types.
            warn: whether to warn of what distinguishes the table from the training table, such as a new level.
            preparation: the model's own with other words that mean missing, decimal signs or date formats; None: as it
                is.

        Returns:
            A table with the index of ``frame``: ``prediction``, the name of a class or a quantity in the unit of the
            training table; and for classes ``probability of CLASS``.

        Raises:
            ValueError: a column is missing, or the model was not trained on the rows of a table.

        Example:
            >>> import tempfile
            >>> from pathlib import Path
            >>> import pandas as pd
            >>> from gradvitals.data.csv import Csv
            >>> file = Path(tempfile.mkdtemp(), "fruit.csv")
            >>> rows = [f"{150 + i},apple\\n{20 + i},plum" for i in range(20)]
            >>> _ = file.write_text("\\n".join(["grams,fruit", *rows]))
            >>> data = Csv(str(file), target="fruit")
            >>> data.setup()
            >>> spec = {"_target_": "torch.nn.Linear"}  # one output, whose sigmoid is the probability of a plum
            >>> model = Classifier(spec, 1, 2, "binary", preparation=data.preparation.to_dict())
            >>> _ = model.net.weight.data.fill_(-9.0), model.net.bias.data.fill_(0.0)
            >>> model.predict_table(pd.DataFrame({"grams": [25.0, 160.0]}, index=["x", "y"])).round(2)
              prediction  probability of apple  probability of plum
            x       plum                   0.0                  1.0
            y      apple                   1.0                  0.0
        """
        preparation = preparation or self.preparation
        if preparation is None:
            raise ValueError(
                "predict_table: expected a model that was trained on a table (data=csv), whose checkpoint contains the "
                "preparation of its columns; this one contains none"
            )
        if len(self.hparams.get("in_shape") or ()) > 1:
            raise ValueError(
                "predict_table: expected a model whose samples are rows (data=csv); this one was trained on sequences "
                "of rows (data=sequence_csv). Call it with packed sequences of its preparation's features instead"
            )
        features = torch.from_numpy(preparation.features(frame))
        if warn and (differences := preparation.differences(frame)):
            warnings.warn(f"the table differs from the training table: {'; '.join(differences)}", stacklevel=2)
        return preparation.predictions(self._outputs(features).numpy(), frame.index)

    @torch.no_grad()
    def _outputs(self, features: Tensor) -> Tensor:
        """Returns probabilities ``(rows, classes)``, or scaled quantities ``(rows,)``, as float64 on the CPU."""
        weight = next(self.net.parameters(), features)
        was_training = self.training
        self.eval()
        try:
            found = [self.net(part.to(weight.device, weight.dtype)).double().cpu() for part in features.split(ROWS)]
        finally:
            self.train(was_training)
        outputs = torch.cat(found)
        return outputs.squeeze(1) if self.hparams["task"] == "regression" else self._probabilities(outputs)

    def _probabilities(self, outputs: Tensor) -> Tensor:
        if self.hparams["task"] == "binary":
            second = outputs.sigmoid()
            return torch.cat([1 - second, second], dim=1)
        if self.hparams["loss"] in ("auto", "ce"):
            return outputs.softmax(1)
        each = outputs.sigmoid()  # the other losses compare it with the one-hot target
        return each / each.sum(1, keepdim=True)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        parameters = list(self.parameters())
        # Lightning does not clip for fused optimizers under mixed precision; torch fuses only some for sharded weights.
        unfused = self.trainer.precision.endswith("mixed") or any(map(is_sharded, parameters))
        optimizer = self._optimizer(parameters, fused=not unfused)
        if self.lr_schedule is None:
            return optimizer
        scheduler = self.lr_schedule.build(optimizer, FitLength.of(self.trainer, self.epoch_began))
        timing = {
            "interval": self.lr_schedule.interval,
            "monitor": self.lr_schedule.monitor,
            "strict": False,  # an epoch without validation does not change the rate
        }
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, **timing}}  # type: ignore[return-value]

    def on_train_start(self) -> None:
        """Decides what becomes of the schedule of a fit that is resumed with another length."""
        if self.lr_schedule is None or not self.trainer.global_step:
            return
        like = self._optimizer([nn.Parameter(torch.zeros(1))])
        length = FitLength.of(self.trainer, self.epoch_began)
        trained = FitLength(self.trainer.current_epoch, self.trainer.global_step)
        for config in self.trainer.lr_scheduler_configs:
            decided = self.lr_schedule.follow(config.scheduler, like, length, trained)
            if decided and self.trainer.is_global_zero:
                log.info(f"scheduler    {decided}")

    def lr_scheduler_step(self, scheduler: Any, metric: Any) -> None:
        if self.lr_schedule is None or not self.lr_schedule.is_over(scheduler):
            super().lr_scheduler_step(scheduler, metric)

    def _optimizer(self, parameters: Iterable[nn.Parameter], fused: bool = True) -> Optimizer:
        spec = dict(self.hparams["optimizer"] or {"_target_": "torch.optim.Adam"})
        if spec.get("fused") == "auto":
            spec["fused"] = fused
        return build(spec, Optimizer, {"params": parameters})

    def _check_optimizer_and_scheduler(self) -> None:
        """Builds both for one scalar, so that a wrong setting raises before training starts."""
        optimizer = self._optimizer([nn.Parameter(torch.zeros(1))])
        if self.lr_schedule is not None:
            self.lr_schedule.build(optimizer, FitLength(epochs=10, steps=10))

    @property
    def clips(self) -> bool:
        """Whether the module clips the gradients itself, as ``per_parameter``, ``agc`` and ``percentile`` do."""
        return (self.hparams["clip"] or {}).get("name") in ("per_parameter", "agc", "percentile")

    def configure_gradient_clipping(
        self,
        optimizer: Optimizer,
        gradient_clip_val: int | float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        clip = self.hparams["clip"] or {}
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        if clip.get("name") == "per_parameter":
            clip_per_parameter_(parameters, clip["val"])
        elif clip.get("name") == "agc":
            layers = [module for module in self.net.modules() if isinstance(module, LAYERS)]
            output = set(layers[-1].parameters()) if layers else set()
            clip_adaptive_([p for p in parameters if p not in output], clip["val"])
        elif clip.get("name") == "percentile":
            self._clip_to_percentile(parameters, clip["val"])
        elif gradient_clip_val is not None:
            self.clip_gradients(optimizer, gradient_clip_val, gradient_clip_algorithm)

    def _clip_to_percentile(self, parameters: list[nn.Parameter], percentile: float) -> None:
        norm = total_norm(parameters)
        if math.isfinite(norm.item()):
            bisect.insort(self.total_norms, norm.item())
        clip_to_norm_(parameters, percentile_threshold(self.total_norms, percentile), norm)

    @classmethod
    def load_from_checkpoint(  # type: ignore[override]
        cls, checkpoint_path: Any, map_location: Any = None, **kwargs: Any
    ) -> Classifier:
        """Loads as Lightning does, but runs no code in the file unless ``weights_only=False``."""
        return super().load_from_checkpoint(checkpoint_path, map_location, **{"weights_only": True, **kwargs})

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["total_norms"] = list(self.total_norms)
        checkpoint["epoch_began"] = self.epoch_began
        checkpoint["train_accuracy"] = [int(count) for count in self._counted()]

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.total_norms = list(checkpoint.get("total_norms", []))
        self.epoch_began = checkpoint.get("epoch_began")
        right, samples = checkpoint.get("train_accuracy", (0, 0))
        self.counted_before = (right, samples)
