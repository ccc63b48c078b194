"""The configs of gradvitals behind those of a project, where Hydra looks for plugins."""

from pathlib import Path

from hydra.core.config_search_path import ConfigSearchPath
from hydra.plugins.search_path_plugin import SearchPathPlugin

from gradvitals.app.config.conf_folder import PACKAGED, is_project


class PackagedConf(SearchPathPlugin):
    """Adds the packaged configs where the main folder is ``conf`` in a project of gradvitals; else it does nothing."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Adds the folder; called by Hydra, once for each search path."""
        folders = [entry.path for entry in search_path.get_path() if entry.provider == "main" and entry.path]
        for folder in map(Path, folders):
            if folder.name == "conf" and folder != PACKAGED and is_project(folder.parent):
                search_path.append("gradvitals", f"file://{PACKAGED}")
