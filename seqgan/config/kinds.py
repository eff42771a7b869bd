"""Objects at an import path ``package.module:name`` or in a file ``path/to/file.py:name``."""

import hashlib
import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any


def load_object(path: str, flag: str) -> Any:
    """Import the object at ``package.module:name`` or ``file.py:name``.

    Raises:
        ValueError: It cannot be imported; names the flag and the reason in one line.
    """
    module, _, name = path.rpartition(":")
    try:
        return getattr(_load_module(module), name)
    except Exception as error:  # somebody else's module may fail in any way
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise ValueError(f"{flag}: cannot import {path!r}: {reason}") from error


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
