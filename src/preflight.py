"""Look at a network before it is trained: ``python src/preflight.py model=plain act=sigmoid model.depth=30``."""

import hydra
from omegaconf import DictConfig

from gradvitals.app.commands.entry_point import launch
from gradvitals.app.commands.preflight import preflight


@hydra.main(version_base="1.3", config_path="../conf", config_name="preflight")
def main(config: DictConfig) -> None:
    """One network; see :func:`gradvitals.app.commands.preflight.preflight`."""
    preflight(config)


if __name__ == "__main__":
    launch(main)
