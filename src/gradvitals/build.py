"""Plain dict in, object out: the only place where a name in a config becomes code that is called.

A spec is ``{"_target_": "package.module.Class", **arguments}``. What it names must be a class of the slot's type,
checked after it was resolved and never by its name's beginning: ``torch.load`` begins with ``torch.`` too. Only the
packages of :data:`TRUSTED` are looked into. Users admit their own by the environment variable ``GRADVITALS_ALLOW``
(names of packages, separated by commas), never by a config, which is input and not code. Arguments are plain values:
nothing inside them is built.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from inspect import Parameter, isabstract, signature
from typing import Any, TypeVar

T = TypeVar("T")
Spec = Mapping[str, Any]
TRUSTED = frozenset({"gradvitals", "lightning", "torch", "torchvision"})
ALLOW = "GRADVITALS_ALLOW"
DEMOS = "lightning.pytorch.demos"  # examples that fetch from the network, and unpickle what lies there
HYDRAS = frozenset({"_args_", "_partial_", "_recursive_", "_convert_"})  # what only Hydra's own builder understands


def allowed() -> frozenset[str]:
    """The packages that the user admits through the environment."""
    return frozenset(name.strip() for name in os.environ.get(ALLOW, "").split(",") if name.strip())


def resolve(path: str, kind: type[T], trusted: frozenset[str] = TRUSTED) -> Callable[..., T]:
    """The class at a dotted path, if it fits the slot.

    Args:
        path: ``package.module.Class``. The part before the last dot is imported as a module; attributes are not walked
            through, so that ``torch.serialization.os.system`` leads nowhere.
        kind: the type that the slot holds; the class must be a subclass. A package that the user admits may also name a
            function, whose result is checked by :func:`build`.
        trusted: the packages that are looked into, besides those that the user admits; their public names alone,
            because importing ``torch.utils.model_dump.__main__`` runs it.

    Raises:
        ValueError: no such module or name, a package that is not admitted, or something that does not fit the slot.

    Example:
        >>> import torch
        >>> resolve("torch.optim.Adam", torch.optim.Optimizer).__name__
        'Adam'
        >>> resolve("torch.load", torch.optim.Optimizer)
        Traceback (most recent call last):
        ...
        ValueError: _target_=torch.load: expected a subclass of Optimizer; got a function
    """
    _check_name(path, kind, trusted)
    module_name, _, name = path.rpartition(".")
    target = _import(path, module_name, name)
    _check_fit(path, target, kind, trusted)
    return target


def _check_name(path: str, kind: type, trusted: frozenset[str]) -> None:
    parts = str(path).split(".")
    if len(parts) < 2 or not all(part.isidentifier() for part in parts):
        raise ValueError(f"_target_={path}: expected package.module.Class, a {kind.__name__}")
    root = parts[0]
    if root not in trusted | allowed():
        raise ValueError(f"_target_={path}: package {root!r} is not admitted. If it is yours, set {ALLOW}={root}")
    private = [part for part in parts if part.startswith("_")]
    if private and root in trusted:
        raise ValueError(f"_target_={path}: expected a public name; {private[0]!r} is private")


def _check_fit(path: str, target: Any, kind: type, trusted: frozenset[str]) -> None:
    module = getattr(target, "__module__", None) or ""
    home = module.partition(".")[0]
    if not isinstance(target, type) and callable(target) and home in allowed():
        return
    if not isinstance(target, type) or not issubclass(target, kind):
        found = "another class" if isinstance(target, type) else f"a {type(target).__name__}"
        raise ValueError(f"_target_={path}: expected a subclass of {kind.__name__}; got {found}")
    if home not in trusted | allowed():
        raise ValueError(f"_target_={path} comes from package {home!r}, which is not admitted. Set {ALLOW}={home}")
    if isabstract(target) or module.startswith(DEMOS):
        found = "a demo, which fetches from the network" if module.startswith(DEMOS) else "an abstract one"
        raise ValueError(f"_target_={path}: expected a {kind.__name__} to use; got {found}")


def _import(path: str, module_name: str, name: str) -> Any:
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        missing = f" (no module named {error.name!r})" if error.name else ""
        raise ValueError(
            f"_target_={path}: expected package.module.Class; cannot import {module_name}{missing}"
        ) from None
    except (Exception, SystemExit) as error:  # whatever a module does when it is imported
        reason = f"{type(error).__name__}: {str(error)[:200]}"
        raise ValueError(f"_target_={path}: cannot import {module_name} ({reason})") from error
    if not hasattr(module, name):
        close = get_close_matches(name, dir(module), n=3)
        hint = f". Closest: {', '.join(close)}" if close else ""
        raise ValueError(f"_target_={path}: {module_name} has no {name!r}{hint}")
    return getattr(module, name)


def build(spec: Spec, kind: type[T], offers: Mapping[str, Any] | None = None) -> T:
    """The object that a spec describes.

    Args:
        spec: ``_target_`` and keyword arguments, plain values.
        kind: the type that the slot holds.
        offers: arguments that the caller can supply; those that the signature takes and the spec leaves out or sets to
            None are passed.

    Raises:
        ValueError: see :func:`resolve`; or an argument that the signature does not take, or that stands for code.

    Example:
        >>> from torch import nn
        >>> build({"_target_": "torch.nn.Linear", "in_features": 4}, nn.Module, offers={"out_features": 2})
        Linear(in_features=4, out_features=2, bias=True)
    """
    target = resolve(spec.get("_target_", ""), kind)
    given = {key: value for key, value in spec.items() if key != "_target_"}
    _refuse_code(spec["_target_"], target, given)
    takes, open_ended = accepts(target)
    unknown = [key for key in given if key not in takes]
    if unknown and not open_ended:
        close = get_close_matches(unknown[0], takes, n=3) or takes
        raise ValueError(f"{spec['_target_']} takes no {unknown[0]!r}; expected {', '.join(close)}")
    for key, value in (offers or {}).items():
        if key in takes and given.get(key) is None:
            given[key] = value
    built = target(**given)
    if not isinstance(built, kind):
        raise ValueError(f"_target_={spec['_target_']}: expected a {kind.__name__}; it made a {type(built).__name__}")
    return built


def _refuse_code(path: str, target: Callable[..., Any], given: Mapping[str, Any]) -> None:
    """Refuse arguments that Hydra would build, or name a function; ours, and the user's, may build what they take."""
    if words := HYDRAS & set(given):
        raise ValueError(f"_target_={path}: expected arguments by name; got {min(words)}, which has no meaning here")
    if target.__module__.partition(".")[0] in {"gradvitals"} | allowed():
        return
    parameters = signature(target).parameters
    for key, value in given.items():
        if _holds_spec(value):
            raise ValueError(f"_target_={path}: expected a plain value for {key}; got a _target_; none is built there")
        wanted = str(parameters[key].annotation) if key in parameters else ""
        if value is not None and "Callable" in wanted and "str" not in wanted:
            raise ValueError(f"_target_={path}: {key} is a function, which no config can give; got {value!r}")


def _holds_spec(value: Any) -> bool:
    """Whether a ``_target_`` stands anywhere inside a value."""
    if isinstance(value, Mapping):
        return "_target_" in value or any(map(_holds_spec, value.values()))
    return isinstance(value, (list, tuple)) and any(map(_holds_spec, value))


def accepts(target: Callable[..., Any]) -> tuple[list[str], bool]:
    """The names of a callable's keyword arguments, and whether it takes any others as well."""
    parameters = signature(target).parameters.values()
    named = [p.name for p in parameters if p.kind in (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)]
    return named, any(p.kind is Parameter.VAR_KEYWORD for p in parameters)
