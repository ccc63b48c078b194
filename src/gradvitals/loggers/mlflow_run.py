"""MLflow: the module with its active run, and Lightning's logger."""

from __future__ import annotations

from gradvitals.loggers.destination import MetricsLogger
from gradvitals.loggers.wandb_run import decoded


class MlflowModule(MetricsLogger):
    """The module ``mlflow``, which logs to its active run."""

    def text(self, tag: str, text: str, step: int) -> None:
        self.logger.log_text(as_artifact(text, step), f"{tag}.txt")

    def picture(self, tag: str, png: bytes, step: int) -> None:
        self.logger.log_image(decoded(png), f"{tag}.png")


class LightningMlflow(MetricsLogger):
    """Lightning's ``MLFlowLogger``."""

    def text(self, tag: str, text: str, step: int) -> None:
        self.logger.experiment.log_text(self.logger.run_id, as_artifact(text, step), f"{tag}.txt")

    def picture(self, tag: str, png: bytes, step: int) -> None:
        self.logger.experiment.log_image(self.logger.run_id, decoded(png), f"{tag}.png")


def as_artifact(text: str, step: int) -> str:
    """Returns the content of a text's artifact; the one of the latest step replaces it."""
    return f"step {step}: {text}\n"
