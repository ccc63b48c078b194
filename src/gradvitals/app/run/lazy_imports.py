"""Defers half of ``import lightning``: packages that a run hardly ever uses are imported at their first use.

torchmetrics imports torchvision, transformers and parts of SciPy for metrics of images, texts and sounds, where they
are installed. Lightning imports torch's compiler to recognize compiled modules, and Triton to count operations; an
optimizer imports the compiler to be skipped by it. scikit-learn imports pandas and half of SciPy. Together they take
longer than everything else. While such a package is imported, stand-ins represent those others: a stand-in knows a name
and nothing more, and its first use imports the package. Afterwards the packages are imported as usual.
``GRADVITALS_LAZY=0`` in the environment turns all of this off.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property, wraps
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import FunctionType, ModuleType
from typing import Any
from unittest.mock import patch

BESIDE_LIGHTNING = ("torchvision", "transformers", "scipy.signal", "scipy.optimize", "triton", "torch._dynamo")
BESIDE_DATA = ("scipy.stats", "scipy.interpolate", "scipy.integrate", "scipy.optimize", "pandas", "torch._dynamo")


def _is_on() -> bool:
    return os.environ.get("GRADVITALS_LAZY") != "0"


@contextmanager
def defer_imports(names: Sequence[str]) -> Iterator[None]:
    """Defers imports of modules that are not imported yet; inside, importing one gives a stand-in.

    Example:
        >>> with defer_imports(["tabnanny"]):
        ...     from tabnanny import format_witnesses
        >>> "tabnanny" in sys.modules
        False
        >>> format_witnesses([(4, 0, 8)])
        'at tab size 4'
    """
    finders = [_Finder(name) for name in names if _is_on() and name not in sys.modules]
    sys.meta_path[:0] = finders
    try:
        yield
    finally:
        for finder in finders:
            finder.remove()


class _Finder(MetaPathFinder, Loader):
    """Answers imports of a module, and of those inside it, with stand-ins."""

    def __init__(self, name: str) -> None:
        self._name = name

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        is_inside = f"{name}.".startswith(f"{self._name}.")
        return ModuleSpec(name, self, is_package=True) if is_inside else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _Module(spec.name, self)

    def exec_module(self, module: ModuleType) -> None:
        """Runs nothing."""

    def remove(self) -> None:
        if self in sys.meta_path:
            sys.meta_path.remove(self)
        modules = sys.modules.copy()  # in one go: a list of items is made one by one, and others import meanwhile
        for name, module in modules.items():
            if isinstance(module, _Module) and module.finder is self:
                del sys.modules[name]
                parent, _, own = name.rpartition(".")
                vars(sys.modules.get(parent, module)).pop(own, None)


class _Module(ModuleType):
    """A module that was not imported; its names are stand-ins."""

    def __init__(self, name: str, finder: _Finder) -> None:
        super().__init__(name)
        self.finder = finder

    def __getattr__(self, name: str) -> Any:
        if self.finder not in sys.meta_path:
            return getattr(import_module(self.__name__), name)
        if name.startswith("__"):  # the import system asks for such names
            raise AttributeError(name)
        return _StandIn(self, name)


class _StandIn:
    """A name in a module that was not imported; the first use of it imports the module."""

    def __init__(self, module: _Module, name: str) -> None:
        self._module, self._name = module, name

    @cached_property
    def _real(self) -> Any:
        self._module.finder.remove()
        return getattr(import_module(self._module.__name__), self._name)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._real(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # typing asks for such names
            raise AttributeError(name)
        return getattr(self._real, name)

    def __mro_entries__(self, bases: tuple) -> tuple:
        return (self._real,)

    def __instancecheck__(self, instance: Any) -> bool:
        """Nothing is an instance of a class that was never imported."""
        known = sys.modules.get(self._module.__name__)
        return known not in (None, self._module) and isinstance(instance, self._real)


def import_lightning() -> None:
    """Imports torch and Lightning without what a run hardly ever uses; nothing where Lightning is imported already."""
    if not _is_on() or "lightning" in sys.modules:
        return
    import torch

    with defer_imports(BESIDE_LIGHTNING), patch.object(torch.compiler, "disable", _disable):
        import lightning  # noqa: F401
    for kind in vars(torch.optim).values():
        if isinstance(kind, type) and issubclass(kind, torch.optim.Optimizer):
            _detach_from_compiler(kind)
    gc.freeze()  # the garbage collector need not scan all of it again, neither here nor in the workers of a sweep


def _detach_from_compiler(optimizer: type) -> None:
    """Lets an optimizer run without torch's compiler, which torch imports only to make it skip the optimizer.

    It saves about a second up to the first step (docs/private_names.md has the figures).
    """
    for name, method in list(vars(optimizer).items()):
        if not isinstance(method, FunctionType) or not hasattr(method, "__wrapped__"):
            continue
        function = method.__wrapped__
        if method.__code__.co_name == "_use_grad":
            setattr(optimizer, name, _step(method))
        elif not hasattr(function, "__dynamo_disable"):
            function.__dynamo_disable = _disable(function)


def _compiler() -> Any:
    """Returns torch's compiler where it is imported; until then nothing can be compiled."""
    module = sys.modules.get("torch._dynamo")
    return module if hasattr(module, "disable") else None


def _disable(function: Callable[..., Any], recursive: bool = True, **reason: Any) -> Callable[..., Any]:
    """Does what ``torch.compiler.disable`` does, at the first call after the compiler was imported."""
    disabled: Callable[..., Any] | None = None

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        nonlocal disabled
        if disabled is None and (compiler := _compiler()):
            disabled = compiler.disable(function, recursive, **reason)
        return (disabled or function)(*args, **kwargs)

    return call


def _step(step: Callable[..., Any]) -> Callable[..., Any]:
    """Wraps an optimizer's ``step`` as torch does, without torch's calls of the compiler while it is not imported."""
    import torch

    @wraps(step)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        if _compiler():
            return step(self, *args, **kwargs)
        with torch.set_grad_enabled(self.defaults["differentiable"]):
            return step.__wrapped__(self, *args, **kwargs)  # type: ignore[attr-defined]

    return call
