"""Train one network, or a sweep of them: ``python src/train.py model=bn act=elu``."""

import hydra
from omegaconf import DictConfig

from gradvitals.app.commands.entry_point import launch
from gradvitals.app.commands.train import train


@hydra.main(version_base="1.3", config_path="../conf", config_name="train")
def main(config: DictConfig) -> float | None:
    """One job; see :func:`gradvitals.app.commands.train.train`."""
    return train(config)


if __name__ == "__main__":
    launch(main, resumes=True)
