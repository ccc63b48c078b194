"""The composed network on one training batch, before any training: ``preflight.json`` and a table."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from gradvitals.app.run.environment import prepare
from gradvitals.app.run.job import Job
from gradvitals.errors import ConfigError
from gradvitals.report.tables.preflight import table
from gradvitals.results.files import write_json
from gradvitals.signal_propagation.reading import content

if TYPE_CHECKING:
    from gradvitals.signal_propagation.reading import Preflight

log = logging.getLogger(__name__)
IDLE = ("resume", "ckpt_path", "train", "test")


def preflight(config: DictConfig) -> None:
    """Hydra's task function: one network.

    Raises:
        SystemExit: 1 refused, 130 Ctrl-C.
    """
    job = Job.at_hand()
    with job.refusals():
        settings = job.settings(config)
        if idle := [key for key in settings["typed"] if key in IDLE]:
            raise ConfigError(f"{idle[0]}: has no part in a preflight, which does not train; leave it out")
        prepare(settings)
        found = look(settings)
        write_json(job.run_dir / "preflight.json", content(found))
        log.info(table(found, job.run_dir))


def look(settings: dict[str, Any]) -> Preflight:
    """Build what the settings describe and send one training batch through it."""
    from gradvitals.app.run.build_data import build_data
    from gradvitals.app.run.build_model import build_model
    from gradvitals.app.run.environment import set_threads
    from gradvitals.checkpoints.compare import load_weights
    from gradvitals.checkpoints.locate import locate
    from gradvitals.classifier import Classifier
    from gradvitals.signal_propagation import preflight as checkup

    data = build_data(settings["data"])
    model = build_model(settings, data)
    if not isinstance(model, Classifier):
        raise ConfigError("preflight: looks at a network; a LightningModule of your own hides its loss. See the README")
    if settings["weights"]:
        load_weights(model, locate(settings["weights"], settings["paths"]["logs"]))
    set_threads(settings["threads"], model, settings["data"].get("batch_size", 1))
    return checkup.preflight(model.net, next(iter(data.train_dataloader())), model.loss, model._optimizer)
