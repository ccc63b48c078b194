"""The entry point of every Hydra script: resolvers, errors in one line."""

from __future__ import annotations

import atexit
import gc
import os
import re
import sys
from argparse import ArgumentParser
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, NoReturn
from unittest.mock import patch

import hydra

from gradvitals.app.commands.resume import AlreadyCompleted, rewrite
from gradvitals.app.config.conf_folder import PACKAGED, conf_folder, is_project, project_root
from gradvitals.app.config.error_messages import VERBOSE, errors_in_one_line, leave
from gradvitals.app.config.help_text import register_help
from gradvitals.app.config.hydra_targets import checked_targets
from gradvitals.app.config.offers import instead, lists_all, no_such_key
from gradvitals.app.config.other_templates import OWN_GROUPS
from gradvitals.app.config.project_settings import read_project_settings
from gradvitals.app.config.run_directory import register_names
from gradvitals.app.config.shared_composition import shared_composition
from gradvitals.app.config.typed_paths import with_typed_paths
from gradvitals.app.run.environment import disable_telemetry
from gradvitals.distributed.cluster_environment import is_first_process
from gradvitals.errors import INTERRUPTED, ConfigError

if TYPE_CHECKING:
    from omegaconf import DictConfig

# Overrides of a process that is not the first of its run: it makes no directory and writes no file.
ASIDE = (
    "hydra.run.dir=.",
    "hydra.output_subdir=null",
    "hydra/job_logging=stdout",
    "hydra.job_logging.root.level=ERROR",
)
HYDRA_KEYS = ("hydra.run.dir=", "hydra.output_subdir=", "hydra.job.name=", "hydra/job_logging=")
REWRITTEN = "GRADVITALS_REWRITTEN"  # set where argv was rewritten, with which Lightning starts the other processes
TASKS = {  # of Hydra; it names a job after the module
    "train": "gradvitals.app.commands.train",
    "preflight": "gradvitals.app.commands.preflight",
    "cure": "gradvitals.app.cure.cure",
}
RESUMES = "train"  # the command whose line ``resume``, ``resume_sweep`` and ``join_sweep`` rewrite


def _task(name: str) -> Callable[[DictConfig], Any]:
    """The task function of a command; its module is imported once there is a config, which ``--help`` never needs."""

    def task(config: DictConfig) -> Any:
        return getattr(import_module(TASKS[name]), name)(config)

    task.__module__ = TASKS[name]  # whose last part is Hydra's name of the job
    return task


@errors_in_one_line()
def launch(name: str) -> None:
    """Runs a command as a Hydra application in which a wrong override ends in one line and exit code 1.

    Args:
        name: of the command, of its task function and of its config.
    """
    read_project_settings()
    main = hydra.main(version_base="1.3", config_path=str(conf_folder()), config_name=name)(_task(name))
    atexit.register(gc.freeze)  # saves the collection of everything that was imported, a second and more at exit
    disable_telemetry()
    register_names()
    register_help()
    # Only under this variable Hydra raises an error instead of printing it; the user's own choice is kept beside it.
    os.environ.setdefault(VERBOSE, os.environ.get("HYDRA_FULL_ERROR", "0"))
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        sys.argv = [sys.argv[0], *with_typed_paths(sys.argv[1:])]
        _check_project(name)
        if name == RESUMES and REWRITTEN not in os.environ:
            sys.argv = rewrite(given := sys.argv)
            os.environ |= {REWRITTEN: "1"} if sys.argv is not given else {}
        if not is_first_process():
            sys.argv = [*(word for word in sys.argv if not word.startswith(HYDRA_KEYS)), *ASIDE]
        _refuse_groups_of_others(sys.argv[1:])
        wrong_flag = patch.object(ArgumentParser, "error", _wrong_flag)
        with checked_targets(), shared_composition(), wrong_flag:
            main()
    except AlreadyCompleted as done:
        if is_first_process():
            print(done)
    except KeyboardInterrupt:
        raise SystemExit(INTERRUPTED) from None


def _check_project(name: str) -> None:
    """Refuses a project without the table by which the search path gets the packaged configs."""
    root = project_root()
    if root is None or conf_folder() == PACKAGED or is_project(root) or (conf_folder() / f"{name}.yaml").is_file():
        return
    raise ConfigError(
        f"{root / 'pyproject.toml'}: expected a table [tool.gradvitals], which marks a project whose conf/ extends the "
        "packaged one; got none"
    )


def _refuse_groups_of_others(words: Sequence[str]) -> None:
    for word in words:
        key, _, value = word.lstrip("+").partition("=")
        if word.startswith("+") and re.split(r"[./]", key)[0] in OWN_GROUPS:
            raise ConfigError(no_such_key(key, value))


def _wrong_flag(parser: ArgumentParser, message: str) -> NoReturn:
    """Replaces the usage of all flags and exit code 2; a key that was typed as a flag is offered as one."""
    if flag := re.search(r"unrecognized arguments:.*?(--([a-z][\w./-]*))(?:=(\S+))?", message):
        following = sys.argv[sys.argv.index(flag[1]) + 1 :][:1] if flag[1] in sys.argv else []
        value = flag[3] or next((word for word in following if not word.startswith("-")), None)
        if (said := instead(flag[2].replace("-", "_"), value)) != lists_all():
            leave(f"{flag[1]}: a key is typed without dashes, KEY=VALUE; {said}")
    leave(f"{message}; expected KEY=VALUE, GROUP=OPTION, -m, --cfg job or another flag of --help")
