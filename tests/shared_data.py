"""Where the official oracle and the caption files lie, for the tests that need them."""

import os
from pathlib import Path

import pytest

FOLDER = Path(os.environ.get("SEQGAN_SHARED_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))


def shared_data(name: str) -> Path:
    """The path of a shared data file; skips the test where it is absent."""
    path = FOLDER / name
    if not path.exists():
        pytest.skip(f"{path} is absent (set SEQGAN_SHARED_DATA to the folder that holds {name})")
    return path
