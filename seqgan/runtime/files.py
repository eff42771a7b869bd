"""Files that are never half there: written whole or not at all, and read whole or refused in one line."""

import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np

from seqgan.runtime.terminal import printable

PARTIAL = ".partial"  # ends the names of files that are being written
STAGED, COMMITTED = ".staged", ".committed"  # folders of a transaction before and after its commit


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, or the name of its type where it has none."""
    lines = str(error).splitlines()
    text = f"there is no {error}" if isinstance(error, KeyError) else lines[0] if lines else ""
    return printable(text[:300]) or type(error).__name__


@contextmanager
def as_value_error(message: str) -> Iterator[None]:
    """Turn whatever the block raises into a ``ValueError`` of one line that begins with ``message``.

    Meant for readers of foreign files: a damaged or forged file can make them raise anything.
    """
    try:
        yield
    except Exception as error:
        raise ValueError(f"{message}: {first_line(error)}") from error


def write_output(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Write what a user has asked for: atomically, but into what is no plain file.

    A device, a pipe or a link is written to and stays what it is.

    Raises:
        ValueError: It cannot be written; names it.
    """
    if not path.is_symlink() and (path.is_file() or not path.exists()):
        return write_atomically(path, write)
    try:
        with path.open("wb") as file:
            write(file)
    except OSError as error:
        raise ValueError(f"{path}: cannot be written: {error.strerror or error}") from error
    return None


def write_atomically(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Write a file so that ``path`` holds either all of the new content or still the old.

    Raises:
        ValueError: The disk is full or the folder cannot be written; names the file.
    """
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            dir=path.parent, prefix=f".{path.name}.", suffix=PARTIAL, delete=False
        ) as file:
            temporary = Path(file.name)
            write(file)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    except (OSError, RuntimeError) as error:  # torch's writer turns a full disk into RuntimeError
        reason = first_line(error)
        raise ValueError(f"{path}: cannot be written, what was there is unchanged: {reason}") from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def remove_partial_files(folder: Path) -> None:
    """Remove what processes that were killed inside :func:`write_atomically` left in ``folder``.

    Nothing else is touched, hidden or not.
    """
    for path in folder.glob(f".*{PARTIAL}"):
        if path.is_file():
            path.unlink()


@contextmanager
def transaction(folder: Path) -> Iterator[Path]:
    """Give an empty folder to fill, whose files then take their places in ``folder``: all or none.

    A process may be killed at any moment: the rename of the filled folder is the commit, and what is
    not in its place by then is moved by :func:`recover`.

    Raises:
        ValueError: The disk is full or the folder cannot be written; nothing has changed.
    """
    recover(folder)
    staged = folder / STAGED
    try:
        staged.mkdir(parents=True)
        yield staged
        for path in _files_in(staged):
            with path.open("rb") as file:
                os.fsync(file.fileno())
        staged.rename(folder / COMMITTED)
    except OSError as error:
        raise ValueError(f"{folder}: cannot be written, nothing has changed: {first_line(error)}") from error
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    recover(folder)


def recover(folder: Path) -> None:
    """Bring a :func:`transaction` on ``folder`` in which a process was killed to its end, or undo it.

    Files directly in the folder are moved last, so that a file that marks the rest as complete
    never comes before it. Does nothing where there is nothing to do.
    """
    shutil.rmtree(folder / STAGED, ignore_errors=True)
    committed = folder / COMMITTED
    if not committed.is_dir():
        return
    for path in _files_in(committed):
        target = folder / path.relative_to(committed)
        target.parent.mkdir(parents=True, exist_ok=True)
        path.replace(target)
    shutil.rmtree(committed)


def _files_in(folder: Path) -> list[Path]:
    """Return all files, those of subfolders first."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return sorted(files, key=lambda path: (path.parent == folder, path))


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Return the arrays of an ``.npz`` file by name, without executing anything.

    Raises:
        ValueError: The file cannot be read, is damaged, or holds something other than arrays of
            numbers and text; names the file.
    """
    with as_value_error(f"{path}: not a readable .npz file of numbers"), path.open("rb") as file:
        with zipfile.ZipFile(file) as archive:  # numpy itself does not read on to an array's checksum
            if (damaged := archive.testzip()) is not None:
                raise zipfile.BadZipFile(f"checksum of {damaged} does not match")
        file.seek(0)
        with np.load(file, allow_pickle=False) as loaded:
            arrays = {name: loaded[name] for name in loaded.files}
        for name, array in arrays.items():
            if not isinstance(array, np.ndarray):  # numpy gives members of unknown kind as bytes
                raise TypeError(f"{name} is no array")
    return arrays


def check_new_folder(path: Path, flag: str) -> None:
    """Refuse paths that would make a run folder nobody meant, or one that cannot be opened again.

    Raises:
        ValueError: The path is empty or the working directory, or holds control characters.
    """
    if path == Path():
        raise ValueError(f"{flag}: names no folder; give one that is made for the run, such as runs/mine")
    if printable(str(path)) != str(path):
        raise ValueError(f"{flag}: {printable(str(path))} holds control characters; choose another name")
