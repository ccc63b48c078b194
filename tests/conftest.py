"""What tests share: the composed config, a run inside this process, a command line in another."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from omegaconf import DictConfig, OmegaConf

from gradvitals.app.config.overrides import Overrides
from gradvitals.app.config.run_config import RunConfig
from gradvitals.app.config.run_directory import register_names
from tests.faults.table import pytest_terminal_summary  # noqa: F401
from tests.warm import WarmInterpreter

# Of tests whose names begin alike, which share trainings, environments, or processes that train: each kind goes to one worker.
# (pytest-xdist 3.8 has marks for this, which pytest 9.2 keeps from it.)
TOGETHER = (
    "tests/app/sweep/test_ray",
    "tests/browser",
    "tests/install",
    "tests/loggers/test_hparams",
    "tests/monitor/test_processes",
    "tests/distributed/test_runs",
    "tests/distributed/test_same_numbers",
    "tests/distributed",
)
ROOT = Path(__file__).parents[1]
CONF = ROOT / "conf"

# A test that holds for one seed, one number of threads and one machine's floating point only is wrong. These two variables
# change the first two; torch itself reads ATEN_CPU_CAPABILITY=default and MKL_CBWR=COMPATIBLE, which change the third.
# `.ci/run` runs the tests that train with all four. GRADVITALS_TEST_LEAN=0 trains by Lightning's own loop where nothing else
# is typed, and GRADVITALS_LAZY=0 defers no import (docs/private_names.md); `.ci/run` runs them with these two as well.
SEED = int(os.environ.get("GRADVITALS_TEST_SEED", "0"))  # of each test, and of a config in which no seed is typed
THREADS = int(os.environ.get("GRADVITALS_TEST_THREADS", "1"))  # of torch, likewise
VARIANT: dict[str, Any] = {"seed": SEED} | ({"threads": THREADS} if THREADS > 1 else {})
if os.environ.get("GRADVITALS_TEST_LEAN") == "0":
    VARIANT["trainer.lean"] = False


@pytest.fixture(autouse=True)
def same_numbers() -> None:
    """Sets the number of threads and the seed: the same numbers to the last bit, whatever ran before."""
    torch.set_num_threads(THREADS)
    torch.manual_seed(SEED)


def compose_variant(typed: Sequence[str], *more: str, **options: Any) -> DictConfig:
    """Composes the train config as Hydra does, with the seed and the threads of the variant where none are typed."""
    register_names()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("train", [*typed, *more], **options)
    OmegaConf.set_struct(config, False)
    for key, value in VARIANT.items():
        if not any(word.startswith(f"{key}=") for word in typed):
            OmegaConf.update(config, key, value)
    return config


def composed(*typed: str, run_dir: str = "unused") -> RunConfig:
    """The config that a command line composes, not validated."""
    config = compose_variant(typed, f"paths.run='{run_dir}'", return_hydra_config=True)
    return replace(RunConfig.resolve(config, config.hydra), overrides=Overrides(typed))


@pytest.fixture
def train_here(tmp_path: Path) -> Callable[..., Path]:
    """Train in this process; returns the run directory, the test's own unless another is given."""

    def run(*typed: str, run_dir: Path = tmp_path) -> Path:
        from gradvitals.app.commands.train import train

        config = compose_variant([*typed, "hydra.mode=RUN"], return_hydra_config=True)  # also of a sweep's experiment
        config.hydra.runtime.output_dir = str(run_dir)
        HydraConfig.instance().set_config(config)
        del config["hydra"]
        train(config)
        return run_dir

    return run


@pytest.fixture
def command(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess]:
    """Run a script of src/ as a user does, in an empty folder."""

    def run(*words: str, script: str = "train.py", **environment: str) -> subprocess.CompletedProcess:
        call = [sys.executable, str(ROOT / "src" / script), *words]
        env = environment_of_a_user() | environment
        return subprocess.run(call, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120, check=False)

    return run


def environment_of_a_user() -> dict[str, str]:
    passed = {key: value for key, value in os.environ.items() if not key.startswith(("HYDRA", "GRADVITALS_"))}
    return passed | {"GRADVITALS_LAZY": os.environ.get("GRADVITALS_LAZY", "1")}


@pytest.fixture(scope="session")
def warm_interpreter() -> Iterator[WarmInterpreter]:
    interpreter = WarmInterpreter()
    yield interpreter
    interpreter.close()


@pytest.fixture
def warm_command(
    warm_interpreter: WarmInterpreter, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., subprocess.CompletedProcess]:
    """As ``command``, without the seconds that imports take: for what does not depend on how a process starts."""

    def run(*words: str, script: str = "train.py") -> subprocess.CompletedProcess:
        out = tmp_path_factory.mktemp("printed")
        return warm_interpreter.run(ROOT / "src" / script, words, tmp_path, environment_of_a_user(), out)

    return run


@pytest.fixture
def data_root() -> Path:
    """The folder with real data; tests on it are skipped where GRADVITALS_DATA does not name one."""
    root = os.environ.get("GRADVITALS_DATA")
    if not root:
        pytest.skip("real data: set GRADVITALS_DATA to a folder that holds FashionMNIST/raw and water_potability.csv")
    return Path(root)


def pytest_sessionstart() -> None:
    """Refuses the files of this checkout's owner, which every command reads and which change numbers and messages."""
    if own := [name for name in ("conf/local/default.yaml", ".env") if (ROOT / name).is_file()]:
        raise pytest.UsageError(f"{' and '.join(own)}: the tests would read it; move it away while they run")
    Plugins.instance()  # executes Hydra's own plugins anew, so that a class derived from one before would be broken


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Fast tests first: whole runs and command lines come after the parts they are made of."""
    last = ("test_train", "test_groups", "test_entry_point")
    items.sort(key=lambda item: last.index(item.path.stem) + 1 if item.path.stem in last else 0)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Send tests to workers one by one, but those that share something together."""
    from xdist.scheduler import LoadScopeScheduling

    class Together(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return next((name for name in TOGETHER if nodeid.startswith(name)), nodeid)

    return Together(config, log)
