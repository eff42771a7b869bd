"""Checkpoints: written atomically, verified and read back without executing anything.

The file is what ``torch.save`` writes: a zip archive whose entries carry CRC-32 sums. Those are
verified before it is read with ``weights_only``, which builds tensors and plain containers only.
"""

import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch

from seqgan.runtime.files import first_line, write_atomically

FORMAT = 3  # raised when a checkpoint or run folder can no longer be read by the code before it


def save(path: Path, payload: dict[str, Any]) -> None:
    """Save tensors, numbers, strings and containers of these.

    Raises:
        ValueError: It cannot be written; names the file.
    """
    write_atomically(path, lambda file: torch.save({"format": FORMAT, **payload}, file))


def load(path: Path, device: torch.device | str = "cpu") -> dict[str, Any]:
    """Read what :func:`save` wrote.

    Raises:
        ValueError: The file is missing, damaged, of another format, or holds anything executable.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
        if damaged is not None:
            raise zipfile.BadZipFile(f"checksum of {damaged} does not match")
        payload = torch.load(path, map_location=device, weights_only=True)
    except FileNotFoundError as error:
        raise ValueError(f"{path}: there is no such checkpoint") from error
    except (OSError, RuntimeError, ValueError, EOFError, KeyError, NotImplementedError) as error:
        raise ValueError(f"{path}: damaged or no checkpoint: {first_line(error)}") from error
    except (zipfile.BadZipFile, pickle.UnpicklingError) as error:
        raise ValueError(f"{path}: damaged or no checkpoint: {first_line(error)}") from error
    if not isinstance(payload, dict) or payload.get("format") != FORMAT:
        found = payload.get("format") if isinstance(payload, dict) else None
        raise ValueError(f"{path}: checkpoint of format {found}; this version reads format {FORMAT}")
    return payload
