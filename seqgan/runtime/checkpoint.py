"""Checkpoints: written atomically, with a digest of every byte, and read without executing anything.

The file is what ``torch.save`` writes, a zip archive, followed by a line with its BLAKE2b digest. The
archive's own checksums are not enough: torch believes flags in its directory that no checksum covers,
and reads uninitialised memory for tensors if such a flag has flipped. Pickles are read with
``weights_only``, which builds tensors and plain containers only.
"""

import hashlib
import os
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor, nn

from seqgan.runtime.files import as_value_error, write_atomically

FORMAT = 3  # raised when a checkpoint or run folder can no longer be read by the code before it
MARK = b"\nblake2b "
DIGEST_SIZE = 32  # bytes
TRAILER_SIZE = len(MARK) + 2 * DIGEST_SIZE + 1


class _HashingFile:
    """A file that is written from its beginning to its end, and the digest of what was written."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._digest = hashlib.blake2b(digest_size=DIGEST_SIZE)

    def write(self, data: bytes | memoryview) -> int:
        self._digest.update(data)
        return self._file.write(data)

    def flush(self) -> None:
        self._file.flush()

    def write_trailer(self) -> None:
        self._file.write(MARK + self._digest.hexdigest().encode() + b"\n")


def save(path: Path, payload: Mapping[str, Any]) -> None:
    """Save finite tensors, numbers, strings and containers of these.

    Raises:
        ValueError: A tensor holds NaN or infinity, there is something else than these, which could not be
            read again, or the file cannot be written; names both.
    """
    with as_value_error(f"{path}: not saved"):
        check_tensors(payload)
        _check_plain(payload)

    def write(file: IO[bytes]) -> None:
        hashing = _HashingFile(file)
        torch.save({"format": FORMAT, **payload}, hashing)  # type: ignore[arg-type]
        hashing.write_trailer()

    write_atomically(path, write)


def load(path: Path, device: torch.device | str = "cpu", *, corpus: str | None = None) -> dict[str, Any]:
    """Read what :func:`save` wrote; with ``corpus``, only what belongs to the corpus of that digest.

    Raises:
        ValueError: The file is missing, damaged, of another format or another corpus, or holds
            anything executable or tensors that are not finite; one line that names it.
    """
    if not path.exists():
        raise ValueError(f"{path}: there is no such checkpoint")
    with as_value_error(f"{path}: damaged or no checkpoint"), path.open("rb") as file:
        if _read_trailer(file) != _compute_digest(file):
            raise ValueError("the digest does not match")
        file.seek(0)
        payload: dict[str, Any] = torch.load(file, map_location=device, weights_only=True)
        found = payload.get("format") if isinstance(payload, dict) else None
        if type(found) is not int or found != FORMAT:
            raise ValueError(f"its format is {found if type(found) is int else None}, not {FORMAT}")
        check_tensors(payload)
    if corpus is not None and payload.get("corpus") != corpus:
        raise ValueError(f"{path}: made with another corpus")
    return payload


def read_digest(path: Path) -> str:
    """Return the digest that stands at the end of a checkpoint: equal for equal content.

    It is read, not computed anew: :func:`load` verifies.

    Raises:
        ValueError: There is no such file, or no digest at its end; names it.
    """
    with as_value_error(f"{path}: damaged or no checkpoint"), path.open("rb") as file:
        return _read_trailer(file)


def _read_trailer(file: IO[bytes]) -> str:
    """Return the digest at the end of a checkpoint."""
    file.seek(0, os.SEEK_END)
    file.seek(max(0, file.tell() - TRAILER_SIZE))
    trailer = file.read()
    if not (trailer.startswith(MARK) and trailer.endswith(b"\n")):
        raise ValueError("there is no digest at its end: cut off, or written by another version")
    return trailer[len(MARK) : -1].decode("ascii")


def _compute_digest(file: IO[bytes]) -> str:
    """Return the digest of all but the trailer."""
    left = file.seek(0, os.SEEK_END) - TRAILER_SIZE
    file.seek(0)
    digest = hashlib.blake2b(digest_size=DIGEST_SIZE)
    while left > 0:
        block = file.read(min(left, 1 << 20))
        digest.update(block)
        left -= len(block)
    return digest.hexdigest()


def check_tensors(state: Any) -> None:
    """Refuse a nest of containers in which a tensor is not real or not finite.

    Raises:
        ValueError: There is such a tensor; names its place.
    """
    for name, tensor in _tensors_in(state):
        if tensor.is_complex():
            raise ValueError(f"{name} is complex")
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise ValueError(f"{name} holds NaN or infinity")


def _tensors_in(state: Any, name: str = "") -> Iterator[tuple[str, Tensor]]:
    """Yield each tensor with its place, such as ``components/policy/embedding.weight``."""
    if isinstance(state, Tensor):
        yield name, state
        return
    items: Any = state.items() if isinstance(state, Mapping) else ()
    if isinstance(state, list | tuple):
        items = enumerate(state)
    for key, value in items:
        yield from _tensors_in(value, f"{name}/{key}" if name else str(key))


CONTAINERS = (dict, OrderedDict, list, tuple, set)
PLAIN = (str, bytes, int, float, bool, type(None))


def _check_plain(state: Any, name: str = "") -> None:
    """Refuse what a checkpoint could hold but not be read with: objects of other classes.

    Raises:
        ValueError: There is one; names its place.
    """
    if isinstance(state, Mapping):
        for key, value in state.items():
            _check_plain(key, f"a key of {name}")
            _check_plain(value, f"{name}/{key}" if name else str(key))
    elif isinstance(state, list | tuple | set):
        for number, value in enumerate(state):
            _check_plain(value, f"{name}/{number}")
    if not isinstance(state, Tensor) and type(state) not in (*CONTAINERS, *PLAIN):
        raise ValueError(
            f"{name} is a {type(state).__name__}; it must be tensors, numbers, texts or containers of them"
        )


def load_weights(module: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Put saved weights into a module, without converting any.

    Raises:
        ValueError: A tensor is missing or not known, has another shape or type than the module's
            own, or is not finite; names it. The module stays as it was.
    """
    own = module.state_dict()
    for name in own:
        if name not in weights:
            raise ValueError(f"{name} is missing")
    for name, tensor in weights.items():
        if name not in own:
            raise ValueError(f"{name} is not known")
        found, wanted = _describe(tensor), _describe(own[name])
        if found != wanted:
            raise ValueError(f"{name} is {found}; it must be {wanted}")
    check_tensors(weights)
    module.load_state_dict(dict(weights))


def _describe(value: object) -> str:
    """Return type and shape, as in ``float32 (3, 4)``."""
    if not isinstance(value, Tensor):
        return type(value).__name__
    return f"{str(value.dtype).removeprefix('torch.')} {tuple(value.shape)}"
