"""Puts ``conf/`` into the wheel, as ``gradvitals/conf``; everything else is said in pyproject.toml.

The folder is at the root of the repository, where people of a Hydra project look for it. An editable install reads it
there. A mapping of packages could say the same, but would take an editable install off its plain path.
"""

from pathlib import Path
from shutil import copyfile

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent
OF_THE_OWNER = ("local", "experiment/cured")  # which git ignores


class BuildWithConf(build_py):
    """Copies the configs beside the modules."""

    def run(self) -> None:
        """Builds; called by setuptools."""
        super().run()
        if self.editable_mode:
            return
        for file in sorted((ROOT / "conf").rglob("*.yaml")):
            name = file.relative_to(ROOT / "conf")
            if not any(name.is_relative_to(folder) for folder in OF_THE_OWNER):
                target = Path(self.build_lib, "gradvitals", "conf", name)
                target.parent.mkdir(parents=True, exist_ok=True)
                copyfile(file, target)


setup(cmdclass={"build_py": BuildWithConf})
