"""Kinds of components: a class or function at an import path, its settings, and the materials it asks for.

A kind is named by a short name that stands in a table of import paths, by an import path
``package.module:name``, or by a file ``path/to/file.py:name``. Its first parameter, ``settings``, is
annotated with a dataclass that derives from :class:`KindSettings`; a kind without settings leaves it out. All
other parameters are materials, and are given by their names.
"""

import dataclasses
import hashlib
import importlib
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any, get_type_hints

_FOREIGN: set[str] = set()  # the files of kinds that are not built in


@dataclass(frozen=True, kw_only=True)
class KindSettings:
    """Settings of a component that comes in several kinds."""

    kind: str = ""
    """Which one: a name from the list in --help, package.module:name, or file.py:name."""


@dataclass(frozen=True)
class Kind:
    """One kind of a component."""

    name: str
    """As the settings name it."""
    target: Callable[..., Any]
    """The class or function."""

    @cached_property
    def parameters(self) -> Mapping[str, inspect.Parameter]:
        """The parameters of the class or function."""
        return inspect.signature(self.target).parameters

    @property
    def is_factory(self) -> bool:
        """Whether calling the target with settings and materials builds the component.

        A class always does, and a function whose first parameter is called ``settings``. Any other function
        is the component itself.
        """
        return inspect.isclass(self.target) or next(iter(self.parameters), "") == "settings"

    @property
    def settings(self) -> type[KindSettings]:
        """The class of the kind's settings; :class:`KindSettings` itself where it has none.

        Raises:
            ValueError: The parameter is annotated with anything else, or a setting has no default.
        """
        if not self.is_factory or "settings" not in self.parameters:
            return KindSettings
        try:
            found = get_type_hints(_annotated(self.target)).get("settings")
        except Exception as error:  # an annotation may name what there is not
            raise ValueError(f"{self.name}: its annotations cannot be read: {error}") from error
        if not (isinstance(found, type) and issubclass(found, KindSettings)):
            raise ValueError(
                f"{self.name}: its parameter settings must be annotated with a dataclass derived from "
                "seqgan.config.kinds.KindSettings"
            )
        for field in dataclasses.fields(found):
            if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
                raise ValueError(f"{self.name}: its setting {field.name} has no default; every one needs one")
        return found

    def build(self, settings: KindSettings, material: Callable[[str], Any]) -> Any:
        """Call the target with its settings and the materials it asks for.

        ``material`` returns the material of a name, or raises a KeyError where there is none; that is an
        error only where the parameter has no default.

        Raises:
            ValueError: It is an async function or an abstract class, or asks for a material that there is
                not.
        """
        if inspect.iscoroutinefunction(self.target):
            raise ValueError(f"{self.name} is an async function; it must be a plain one")
        if inspect.isabstract(self.target):
            missing = ", ".join(sorted(getattr(self.target, "__abstractmethods__", ())))
            raise ValueError(f"{self.name}: lacks {missing}")
        arguments: dict[str, Any] = {}
        for name, parameter in self.parameters.items():
            if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
                continue
            if name == "settings":
                arguments[name] = settings
                continue
            try:
                arguments[name] = material(name)
            except KeyError as error:
                if parameter.default is parameter.empty:
                    raise ValueError(f"{self.name}: asks for {name!r}; {error.args[0]}") from None
        return self.target(**arguments)


def _annotated(target: Any) -> Any:
    """Return what says of which class the settings are: the function, or of a class the constructor.

    A class that inherits its constructor may say so by an annotation ``settings: MySettings`` of its own.
    """
    if not inspect.isclass(target):
        return target
    for base in target.__mro__:
        if "settings" in vars(base).get("__annotations__", {}) and "__init__" not in vars(base):
            return base
        if "__init__" in vars(base):
            break
    return target.__init__


def find_kind(name: str, table: Mapping[str, str], flag: str) -> Kind:
    """Return the kind of that name: from the table of import paths, or at an import path or in a file.

    Raises:
        ValueError: There is none; names the flag and the built-in names.
    """
    path = table.get(name, name)
    if ":" not in path:
        raise ValueError(
            f"{flag}: no {name!r}; choose {', '.join(sorted(table))}, package.module:name or file.py:name"
        )
    target = load_object(path, flag)
    if not callable(target):
        raise ValueError(f"{flag}: {name!r} is no class or function")
    if name not in table:
        _FOREIGN.add(str(getattr(inspect.getmodule(target), "__file__", None)))
    return Kind(name, target)


def foreign_place(error: BaseException, *, innermost: bool = False) -> str | None:
    """Return where in the file of a kind that is not built in an error came from; None where it did not.

    With ``innermost`` only an error that the file itself has raised came from there.
    """
    frames = traceback.extract_tb(error.__traceback__)
    for frame in reversed(frames[-1:] if innermost else frames):
        if frame.filename in _FOREIGN:
            return f"{frame.filename}, line {frame.lineno}, in {frame.name}"
    return None


def load_object(path: str, flag: str) -> Any:
    """Import the object at ``package.module:name`` or ``file.py:name``.

    Raises:
        ValueError: It cannot be imported; names the flag and the reason in one line.
    """
    module, _, name = path.rpartition(":")
    try:
        found = getattr(_load_module(module), name)
    except Exception as error:  # somebody else's module may fail in any way
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise ValueError(f"{flag}: cannot import {path!r}: {reason}") from error
    return found


def _load_module(module: str) -> ModuleType:
    if not module.endswith(".py"):
        return importlib.import_module(module)
    path = Path(module).resolve()
    name = f"{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    loaded = importlib.util.module_from_spec(spec)
    sys.modules[name] = loaded  # dataclasses look their module up there
    try:
        spec.loader.exec_module(loaded)
    except BaseException:
        del sys.modules[name]
        raise
    return loaded


def absolute(name: str) -> str:
    """Return the name of a kind with the path of its file, if it is in one, made absolute."""
    module, colon, attribute = name.rpartition(":")
    return f"{Path(module).resolve()}{colon}{attribute}" if module.endswith(".py") else name


def source_digest(name: str, table: Mapping[str, str]) -> str | None:
    """Return a digest of the source of a kind that is not built in; None for one that is."""
    if name in table:
        return None
    source = inspect.getsourcefile(load_object(name, "kind"))
    return hashlib.sha256(Path(source).read_bytes()).hexdigest() if source else None
