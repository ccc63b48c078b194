"""A logger that keeps what it is given."""

from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities.rank_zero import rank_zero_only


class Gathers(Logger):
    """Somebody's logger."""

    name, version = "gathers", 0

    def __init__(self) -> None:
        super().__init__()
        self.got: list[tuple[int, dict]] = []

    @rank_zero_only
    def log_metrics(self, metrics, step=None):
        self.got.append((step, metrics))

    def log_hyperparams(self, *_):
        pass
