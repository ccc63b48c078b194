"""Looks at a network before it is trained: ``python src/preflight.py model=plain act=sigmoid model.depth=30``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradvitals.app.commands.loading_line import announce_loading, missing_extra_in_one_line

if TYPE_CHECKING:
    from omegaconf import DictConfig


def main(config: DictConfig) -> None:
    """One network; see :func:`gradvitals.app.commands.preflight.preflight`."""
    from gradvitals.app.commands.preflight import preflight

    preflight(config)


if __name__ == "__main__":
    announce_loading("Hydra, torch and Lightning, to look at one batch")
    with missing_extra_in_one_line("preflight"):
        from gradvitals.app.commands.entry_point import launch

    launch(main, "preflight")
