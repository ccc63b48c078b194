"""Trains one network, or a sweep of them: ``python src/train.py model=bn act=elu``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradvitals.app.commands.loading_line import announce_loading, missing_extra_in_one_line

if TYPE_CHECKING:
    from omegaconf import DictConfig


def main(config: DictConfig) -> float | None:
    """One job; see :func:`gradvitals.app.commands.train.train`."""
    from gradvitals.app.commands.train import train

    return train(config)


if __name__ == "__main__":
    announce_loading("Hydra, torch and Lightning, to train")
    with missing_extra_in_one_line("train"):
        from gradvitals.app.commands.entry_point import launch

    launch(main, "train", resumes=True)
