"""Where the configs of the template are: in the checkout that gradvitals is imported from, and nowhere else.

A wheel contains the package alone. The module itself imports nothing heavy.
"""

from __future__ import annotations

from pathlib import Path

CONF = Path(__file__).parents[4] / "conf"


def script_of(command: str) -> Path | None:
    """Returns the script of a command in ``src/``; None where the package is not imported from a checkout.

    Example:
        >>> script_of("train").name
        'train.py'
    """
    script = CONF.parent / "src" / f"{command}.py"
    return script if script.is_file() and (CONF / "train.yaml").is_file() else None
