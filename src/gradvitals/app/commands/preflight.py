"""The composed network on one training batch, before any training: ``preflight.json``, a table, and a picture."""

from __future__ import annotations

import logging
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from gradvitals.app.config.run_config import RunConfig
from gradvitals.app.run.environment import prepare
from gradvitals.app.run.job import Job
from gradvitals.app.run.opening_lines import announce_run, show_config
from gradvitals.errors import ConfigError
from gradvitals.report.tables.preflight import table
from gradvitals.results.files import write_json
from gradvitals.signal_propagation.reading import content

if TYPE_CHECKING:
    from gradvitals.signal_propagation.reading import Preflight

log = logging.getLogger(__name__)
DPI = 120  # dots per inch
IDLE = ("resume", "ckpt_path", "train", "test", "look")


def preflight(config: DictConfig) -> None:
    """Hydra's task function: one network.

    Raises:
        SystemExit: 1 refused, 130 Ctrl-C.
    """
    job = Job.current()
    with job.refusals():
        run_config = job.config(config)
        keys = [*run_config.overrides.typed_keys, *(["look"] if run_config["look"] else [])]  # which debug=table sets
        if idle := [key for key in keys if key in IDLE]:
            raise ConfigError(f"{idle[0]}: has no part in a preflight, which does not train; leave it out")
        announce_run(job)
        show_config(job, run_config)
        found = look(prepare(run_config))
        write_json(job.run_dir / "preflight.json", content(found))
        _draw(found, job.run_dir)
        log.info(table(found, job.run_dir))


def _draw(found: Preflight, run_dir: Path) -> None:
    """Writes the picture of the recurrent layers, where there are some and matplotlib is installed."""
    if not found.through_time or find_spec("matplotlib") is None:
        return
    from gradvitals.report.pictures.canvas import png
    from gradvitals.report.pictures.gradient_through_time import preflight_through_time

    picture = png(preflight_through_time(found.through_time, subtitle=run_dir.name), DPI)
    (run_dir / "gradient_through_time.png").write_bytes(picture)


def look(config: RunConfig) -> Preflight:
    """Builds what the config describes and sends one training batch through it."""
    from gradvitals.app.run.build_data import build_data
    from gradvitals.app.run.build_model import build_model
    from gradvitals.app.run.given_preparation import give_preparation
    from gradvitals.app.run.threads import set_threads
    from gradvitals.checkpoints.compare import load_weights
    from gradvitals.classifier import Classifier
    from gradvitals.signal_propagation import preflight as checkup

    data = build_data(config["data"])
    give_preparation(config, data)
    model = build_model(config, data)
    if not isinstance(model, Classifier):
        raise ConfigError(
            "preflight: looks at a network; your own LightningModule hides its loss (docs/guides/bring_your_own.md)"
        )
    if config["weights"]:
        load_weights(model, Path(config["weights"]))
    set_threads(config, model)
    return checkup.preflight(model.net, next(iter(data.train_dataloader())), model.loss, model._optimizer)
