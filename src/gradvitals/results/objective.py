"""The metric that ranks runs, and whether lower is better."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

log = logging.getLogger(__name__)

Mode = Literal["min", "max"]
AUTO = "auto"
CANDIDATES = ("val/acc", "val/r2", "val/loss")  # what objective=auto takes, the first that is logged
# By the last word of a metric's name; all that end in `loss` are losses.
LOWER_IS_BETTER = (
    "mae mse rmse msle rmsle mape smape error err perplexity ppl nll ce bce xent bpc bpb bpd kl brier ece "
    "wer cer ter eer fid deviance cost risk regret"
)
HIGHER_IS_BETTER = (
    "acc accuracy r2 f1 fbeta auroc auc auprc ap map precision recall sensitivity specificity iou miou dice jaccard "
    "mcc kappa bleu rouge meteor psnr ssim ndcg mrr pearson spearman reward return score"
)
ACCURACIES = ("acc", "accuracy")
ADDED_BY_LIGHTNING = re.compile(r"(_step|_epoch)?(/dataloader_idx_\d+)?$")
WORST_LOSS, WORST_ACCURACY, UNKNOWN_WORST = 1e6, 0.0, -1e6


@dataclass(frozen=True)
class Objective:
    """A metric and its better direction.

    Attributes:
        tag: the name under which the metric is logged, such as ``val/loss``.
        mode: ``min`` where lower is better, ``max`` where higher is.

    Example:
        >>> loss = Objective("val/loss", "min")
        >>> loss.best([2.0, 1.0, 3.0]), loss.score(1.0) > loss.score(2.0), loss.worst
        (1.0, True, 1000000.0)
    """

    tag: str
    mode: Mode

    def __str__(self) -> str:
        return self.tag

    @classmethod
    def named(cls, tag: str, mode: str = AUTO) -> Objective:
        """Returns the objective of a metric, by its name where the mode is ``auto``; an unknown name is maximized."""
        known = mode_of(tag) if mode == AUTO else mode
        return cls(tag, "min" if known == "min" else "max")

    @classmethod
    def resolve(cls, metrics: Iterable[str], tag: str = AUTO, mode: str = AUTO) -> Objective | None:
        """Returns what the config keys ``objective`` and ``objective_mode`` mean for a run that logged some metrics.

        Args:
            tag: a metric; ``auto``: the first of ``val/acc``, ``val/r2`` and ``val/loss`` that was logged; where none
                was, the objective is None.
            mode: ``min``, ``max``, or ``auto``: by the metric's name. Beside ``tag="auto"`` it restricts the choice.

        Example:
            >>> Objective.resolve(["val/loss", "val/acc"]), Objective.resolve(["val/loss", "val/acc"], mode="min")
            (Objective(tag='val/acc', mode='max'), Objective(tag='val/loss', mode='min'))
        """
        if tag != AUTO:
            return cls.named(tag, mode)
        logged = set(metrics)
        known = (cls.named(candidate) for candidate in CANDIDATES if candidate in logged)
        return next((objective for objective in known if mode in (AUTO, objective.mode)), None)

    @staticmethod
    def common(objectives: Iterable[Objective | None]) -> Objective | None:
        """Returns the most frequent objective, of equally frequent ones the first; None where there is none."""
        return next((found for found, _ in Counter(filter(None, objectives)).most_common(1)), None)

    @property
    def lower_is_better(self) -> bool:
        return self.mode == "min"

    @property
    def worst(self) -> float:
        """The finite value of a run that diverged, so that a sampler can calculate with it."""
        if self.lower_is_better:
            return WORST_LOSS
        return WORST_ACCURACY if _last_word(self.tag) in ACCURACIES else UNKNOWN_WORST

    def score(self, value: float) -> float:
        """Returns a number that is higher for a better value: the value, with its sign turned where lower is better."""
        return -value if self.lower_is_better else value

    def best(self, values: Iterable[float]) -> float:
        return max(values, key=self.score)


def mode_of(tag: str) -> Mode | None:
    """Returns which values of a metric are better, by the last word of its name; None where that is unknown.

    Example:
        >>> mode_of("val/loss"), mode_of("val_mae"), mode_of("val/acc/dataloader_idx_0"), mode_of("val/depth")
        ('min', 'min', 'max', None)
    """
    word = _last_word(tag)
    if word in LOWER_IS_BETTER.split() or is_loss(tag):
        return "min"
    return "max" if word in HIGHER_IS_BETTER.split() else None


def is_loss(tag: str) -> bool:
    """Returns whether a metric is a loss, which is not finite where a run has diverged.

    Example:
        >>> is_loss("train/loss"), is_loss("val/celoss"), is_loss("val/mae")
        (True, True, False)
    """
    return _last_word(tag).endswith("loss")


def warn_if_guessed(tag: str, mode: str) -> None:
    """Warns where a metric is maximized although nothing says so; called once for each run or sweep."""
    if tag != AUTO and mode == AUTO and mode_of(tag) is None:
        log.warning(
            f"objective={tag}: the name does not say whether lower or higher is better, so higher is assumed. "
            "Set objective_mode=min or max"
        )


def _last_word(tag: str) -> str:
    return re.split(r"[^a-z0-9]+", ADDED_BY_LIGHTNING.sub("", tag.lower()))[-1]
