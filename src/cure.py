"""Cures a network that does not learn: ``python src/cure.py model=plain act=sigmoid model.depth=12``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradvitals.app.commands.loading_line import announce_loading, missing_extra_in_one_line

if TYPE_CHECKING:
    from omegaconf import DictConfig


def main(config: DictConfig) -> None:
    """Cures one config; see :func:`gradvitals.app.cure.cure.cure`."""
    from gradvitals.app.cure.cure import cure

    cure(config)


if __name__ == "__main__":
    announce_loading("Hydra, torch and Lightning, to diagnose and cure")
    with missing_extra_in_one_line("cure"):
        from gradvitals.app.commands.entry_point import launch

    launch(main, "cure")
