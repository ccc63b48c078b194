"""Cure a network that does not learn: ``python src/cure.py model=plain act=sigmoid model.depth=12``."""

import hydra
from omegaconf import DictConfig

from gradvitals.app.commands.entry_point import launch
from gradvitals.app.cure.cure import cure


@hydra.main(version_base="1.3", config_path="../conf", config_name="cure")
def main(config: DictConfig) -> None:
    """Cures one config; see :func:`gradvitals.app.cure.cure.cure`."""
    cure(config)


if __name__ == "__main__":
    launch(main)
