"""Fashion-MNIST, MNIST and CIFAR-10 from torchvision, in memory as float tensors."""

from __future__ import annotations

import contextlib
import io
import socket
from pathlib import Path
from typing import Any, Unpack

import torch
from torch import Tensor

from gradvitals.data.dataset_splits import Split, Splits
from gradvitals.data.idx import check_pair
from gradvitals.data.tensors import LoaderOptions, TensorDataModule

try:
    from torchvision import datasets
    from torchvision.datasets.utils import check_integrity
except (ImportError, RuntimeError) as error:
    first = str(error).partition("\n")[0]
    raise ImportError(
        f"torch and torchvision cannot be imported together ({first}). Their versions must match: "
        "reinstall both at the versions in constraints.txt, from one index (make setup)"
    ) from error

SCALINGS = ("unit", "standard", "per_pixel", "raw")
DOWNLOAD_TIMEOUT = 20.0  # seconds without a response


class Images(TensorDataModule):
    """Ten classes of images ``(channels, height, width)``; the first 5,000 training images validate.

    Args:
        name: ``FashionMNIST``, ``MNIST`` or ``CIFAR10``.
        root: the folder that contains torchvision's folders (``FashionMNIST/raw`` and so on).
        download: whether to download missing files.
        scaling: ``unit`` (0 to 1), ``standard`` (mean and deviation of the training pixels), ``per_pixel`` (mean and
            deviation of each pixel) or ``raw`` (0 to 255).
        num_val: number of training images, the first ones, that are used for validation.
        **loader: see :class:`TensorDataModule`.

    Raises:
        FileNotFoundError: files are missing and cannot be downloaded; the message says which files belong where.
        ValueError: unknown name or scaling.
    """

    def __init__(
        self,
        name: str,
        root: str,
        download: bool = True,
        scaling: str = "unit",
        num_val: int = 5000,
        **loader: Unpack[LoaderOptions],
    ) -> None:
        super().__init__(**loader)
        if name not in FILES:
            raise ValueError(f"data.name: expected one of {', '.join(FILES)}; got {name!r}")
        if scaling not in SCALINGS:
            raise ValueError(f"data.scaling: expected one of {', '.join(SCALINGS)}; got {scaling!r}")
        self.dataset, self.root, self.download, self.scaling, self.num_val = name, root, download, scaling, num_val

    def prepare_data(self) -> None:
        if self.splits is not None:
            return
        try:
            self._open(train=False)  # checks that all files exist
        except (RuntimeError, FileNotFoundError):
            self._download()

    def load(self) -> Splits:
        self.prepare_data()
        full, test = _tensors(self._open(train=True)), _tensors(self._open(train=False))
        if not 0 < self.num_val < len(full):
            raise ValueError(f"data.num_val: expected 1 to {len(full) - 1}; got {self.num_val}")
        train, val = full[self.num_val :], full[: self.num_val]
        shift, factor = _scaling(train.x, self.scaling)
        train, val, test = (Split((part.x - shift) / factor, part.y) for part in (train, val, test))
        return Splits(train, val, test, "multiclass", 10)

    def _open(self, train: bool, download: bool = False) -> Any:
        if FILES[self.dataset][1] == _IDX and not download:
            check_pair(Path(self.root, FILES[self.dataset][0]), "train" if train else "t10k")
        return getattr(datasets, self.dataset)(self.root, train=train, download=download)

    def _download(self) -> None:
        reason = "data.download=false"
        if self.download:
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()), _timeout():
                try:
                    self._open(train=True, download=True)
                    return
                except (RuntimeError, OSError) as error:
                    reason = f"downloading failed: {error}"
        folder, files = FILES[self.dataset]
        raise FileNotFoundError(
            f"{self.dataset}: expected {files} in {(Path(self.root) / folder).resolve()} "
            f"({'; '.join([*self._damaged(), reason])}). "
            "Put them there, or say where they are by data.root=DIR or the environment variable GRADVITALS_DATA"
        )

    def _damaged(self) -> list[str]:
        """Returns which files of CIFAR-10 exist with another checksum than the published one."""
        kind = getattr(datasets, self.dataset)
        listed = [*getattr(kind, "train_list", []), *getattr(kind, "test_list", [])]
        folder = Path(self.root, FILES[self.dataset][0])
        damaged = [
            name for name, md5 in listed if (folder / name).is_file() and not check_integrity(folder / name, md5)
        ]
        return [f"damaged: {', '.join(damaged)}"] if damaged else []


_IDX = "train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte"
FILES = {
    "FashionMNIST": ("FashionMNIST/raw", _IDX),
    "MNIST": ("MNIST/raw", _IDX),
    "CIFAR10": ("cifar-10-batches-py", "data_batch_1 ... data_batch_5, test_batch, batches.meta"),
}


@contextlib.contextmanager
def _timeout() -> Any:
    """Limits the wait for a server; torchvision sets no limit."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(DOWNLOAD_TIMEOUT)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _tensors(dataset: Any) -> Split:
    """Returns a torchvision data set with float pixels 0 to 255, channels first."""
    pixels = torch.as_tensor(dataset.data)
    x = pixels.permute(0, 3, 1, 2) if pixels.ndim == 4 else pixels.unsqueeze(1)
    return Split(x.to(torch.float32, memory_format=torch.contiguous_format), torch.as_tensor(dataset.targets))


def _scaling(x: Tensor, scaling: str) -> tuple[Any, Any]:
    if scaling == "standard":
        return x.mean((0, 2, 3), keepdim=True), x.std((0, 2, 3), keepdim=True)
    if scaling == "per_pixel":
        deviation = x.std(0, keepdim=True)
        return x.mean(0, keepdim=True), deviation.where(deviation > 0, 1.0)  # a pixel that is always dark stays 0
    return 0.0, 255.0 if scaling == "unit" else 1.0
