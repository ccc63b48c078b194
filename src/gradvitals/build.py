"""Builds objects from plain dicts: the only place where a name in a config becomes code that is called.

A spec is ``{"_target_": "package.module.Class", **arguments}``. It must name a class of the expected type. The type is
checked on the resolved class and not by a prefix of its name, because ``torch.load`` begins with ``torch.`` too. Only
packages in :data:`TRUSTED` are imported. Users admit their own by the environment variable ``GRADVITALS_ALLOW`` (names
of packages, separated by commas), which the commands extend by what the ``pyproject.toml`` of the project or checkout
lists; never by a config, which is untrusted input. Arguments are plain values: nothing inside them is built.
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
DEMOS = "lightning.pytorch.demos"  # examples that download files and unpickle them
HYDRA_KEYS = frozenset({"_args_", "_partial_", "_recursive_", "_convert_"})  # which Hydra's own `instantiate` reads


def allowed() -> frozenset[str]:
    """Returns the packages that ``GRADVITALS_ALLOW`` contains."""
    return frozenset(name.strip() for name in os.environ.get(ALLOW, "").split(",") if name.strip())


def resolve(path: str, kind: type[T], trusted: frozenset[str] = TRUSTED) -> Callable[..., T]:
    """Returns the class at a dotted path.

    Args:
        path: ``package.module.Class``. The part before the last dot must be a module; attributes are not followed, so
            ``torch.serialization.os.system`` is refused.
        kind: the class must be a subclass of this type. In a package that the user admits, a function is accepted too;
            :func:`build` checks its result.
        trusted: packages that may be imported besides those that the user admits; only their public names, because
            importing ``torch.utils.model_dump.__main__`` runs it.

    Raises:
        ValueError: no such module or name, a package that is not admitted, or an object of another type.

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
    target = _import(path)
    _check_target(path, target, kind, trusted)
    return target


def _check_name(path: str, kind: type, trusted: frozenset[str]) -> None:
    parts = str(path).split(".")
    if len(parts) < 2 or not all(part.isidentifier() for part in parts):
        raise ValueError(f"_target_={path}: expected package.module.Class, a {kind.__name__}")
    root = parts[0]
    if root not in trusted | allowed():
        raise ValueError(f"_target_={path}: package {root!r} is not admitted. {_admit(root)}")
    private = [part for part in parts if part.startswith("_")]
    if private and root in trusted:
        raise ValueError(f"_target_={path}: expected a public name; {private[0]!r} is private")


def _admit(package: str) -> str:
    once = f'allow = ["{package}"] under [tool.gradvitals] in pyproject.toml'
    return f"If it is yours, set {ALLOW}={package}, or once for all commands {once}"


def _check_target(path: str, target: Any, kind: type, trusted: frozenset[str]) -> None:
    module = getattr(target, "__module__", None) or ""
    home = module.partition(".")[0]
    if not isinstance(target, type) and callable(target) and home in allowed():
        return
    if not isinstance(target, type) or not issubclass(target, kind):
        found = "another class" if isinstance(target, type) else f"a {type(target).__name__}"
        raise ValueError(f"_target_={path}: expected a subclass of {kind.__name__}; got {found}")
    if home not in trusted | allowed():
        raise ValueError(f"_target_={path} comes from package {home!r}, which is not admitted. {_admit(home)}")
    if isabstract(target) or module.startswith(DEMOS):
        found = "a demo, which downloads files" if module.startswith(DEMOS) else "an abstract class"
        raise ValueError(f"_target_={path}: expected a usable {kind.__name__}; got {found}")


def _import(path: str) -> Any:
    module_name, _, name = path.rpartition(".")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        missing = f" (no module named {error.name!r})" if error.name else ""
        raise ValueError(
            f"_target_={path}: expected package.module.Class; cannot import {module_name}{missing}"
        ) from None
    except (Exception, SystemExit) as error:  # importing a module can raise anything
        reason = f"{type(error).__name__}: {str(error)[:200]}"
        raise ValueError(f"_target_={path}: cannot import {module_name} ({reason})") from error
    if not hasattr(module, name):
        close = get_close_matches(name, dir(module), n=3)
        hint = f". Closest: {', '.join(close)}" if close else ""
        raise ValueError(f"_target_={path}: {module_name} has no {name!r}{hint}")
    return getattr(module, name)


def build(spec: Spec, kind: type[T], offers: Mapping[str, Any] | None = None, trusted: frozenset[str] = TRUSTED) -> T:
    """Builds the object that a spec describes.

    Args:
        spec: ``_target_`` and keyword arguments, plain values.
        kind: the type that is expected.
        offers: arguments that the caller can supply. One is passed if the signature has it and the spec omits it or
            sets it to None.
        trusted: see :func:`resolve`.

    Raises:
        ValueError: see :func:`resolve`; or an argument that the signature does not have, or that would become code.

    Example:
        >>> from torch import nn
        >>> build({"_target_": "torch.nn.Linear", "in_features": 4}, nn.Module, offers={"out_features": 2})
        Linear(in_features=4, out_features=2, bias=True)
    """
    target = resolve(spec.get("_target_", ""), kind, trusted)
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
    """Refuses arguments that Hydra would build and names of functions; our and the user's classes check their own."""
    if keys := HYDRA_KEYS & set(given):
        raise ValueError(f"_target_={path}: expected arguments by name; got {min(keys)}, which has no meaning here")
    if target.__module__.partition(".")[0] in {"gradvitals"} | allowed():
        return
    parameters = signature(target).parameters
    for key, value in given.items():
        if _contains_spec(value):
            raise ValueError(f"_target_={path}: expected a plain value for {key}; got a _target_, which is not built")
        wanted = str(parameters[key].annotation) if key in parameters else ""
        if value is not None and "Callable" in wanted and "str" not in wanted:
            raise ValueError(f"_target_={path}: {key} is a function, which a config cannot contain; got {value!r}")


def _contains_spec(value: Any) -> bool:
    if isinstance(value, Mapping):
        return "_target_" in value or any(map(_contains_spec, value.values()))
    return isinstance(value, (list, tuple)) and any(map(_contains_spec, value))


def accepts(target: Callable[..., Any]) -> tuple[list[str], bool]:
    """Returns the names of a callable's keyword arguments, and whether it accepts any others."""
    parameters = signature(target).parameters.values()
    named = [p.name for p in parameters if p.kind in (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)]
    return named, any(p.kind is Parameter.VAR_KEYWORD for p in parameters)
