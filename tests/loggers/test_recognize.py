"""Which kind of logger something is, and what is none."""

import logging
import subprocess
import sys

import pytest
from lightning.fabric.loggers import TensorBoardLogger as FabricTensorBoardLogger
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from torch.utils.tensorboard import SummaryWriter

from gradvitals.loggers.csv_file import CsvFile
from gradvitals.loggers.destination import Function, MetricsLogger
from gradvitals.loggers.recognize import destination_of
from gradvitals.loggers.tensorboard import EventFile
from tests.loggers.gathers import Gathers


class Derived(TensorBoardLogger):
    """Somebody's own, on top of Lightning's."""


class Deaf:
    def __call__(self, numbers):
        """Takes no step."""


KINDS = [
    (lambda folder: SummaryWriter(str(folder)), EventFile),
    (lambda folder: TensorBoardLogger(folder), EventFile),
    (lambda folder: FabricTensorBoardLogger(folder), EventFile),
    (lambda folder: Derived(folder), EventFile),
    (lambda folder: CSVLogger(folder), MetricsLogger),
    (lambda folder: Gathers(), MetricsLogger),
    (lambda folder: folder / "a.csv", CsvFile),
    (lambda folder: f"{folder}/deeper/a.CSV", CsvFile),
    (lambda folder: print, Function),
    (lambda folder: lambda step, numbers, more=None: None, Function),
]


@pytest.mark.parametrize(("make", "kind"), KINDS)
def test_each_kind(make, kind, tmp_path):
    assert type(destination_of(make(tmp_path))) is kind


@pytest.mark.parametrize(
    "other", [7, True, {}, "runs/1", logging.getLogger(), SummaryWriter, Deaf(), lambda: None, sys]
)
def test_anything_else_is_refused_in_one_line(other):
    with pytest.raises(TypeError) as refused:
        destination_of(other)
    assert str(refused.value).startswith(
        "logger: expected a SummaryWriter of torch.utils.tensorboard, a run of W&B or Aim, "
    )
    assert "; got " in str(refused.value)
    assert "\n" not in str(refused.value)


def test_no_package_is_imported_to_recognize_a_logger():
    code = (
        "import sys; from gradvitals.loggers.publish import publish; publish([print], {'a': 1.0}, 0); "
        "print(*[name for name in ('lightning', 'tensorboard', 'wandb', 'mlflow', 'comet_ml', 'aim', 'google_crc32c') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "0 {'a': 1.0}\n\n"
