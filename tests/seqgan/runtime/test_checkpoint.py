import os
import pickle
import zipfile
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from seqgan.runtime import checkpoint
from seqgan.runtime.files import write_atomically

PAYLOAD = {"weights": torch.arange(600.0), "step": 3, "nested": {"text": "ä", "none": None, "list": [1.5]}}


@pytest.fixture(name="path")
def saved(tmp_path):
    path = tmp_path / "folder" / "state.pt"
    checkpoint.save(path, PAYLOAD)
    return path


def test_what_is_saved_is_read_back(path):
    loaded = checkpoint.load(path)
    assert torch.equal(loaded["weights"], PAYLOAD["weights"])
    assert (loaded["step"], loaded["nested"]) == (3, PAYLOAD["nested"])


def test_saving_replaces_and_leaves_nothing_else(path):
    checkpoint.save(path, {"step": 4})
    assert checkpoint.load(path)["step"] == 4
    assert list(path.parent.iterdir()) == [path]


def test_a_write_that_fails_leaves_the_old_file(path, monkeypatch):
    def full(file_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ValueError, match=r"state.pt: cannot be written, .* No space left on device"):
        checkpoint.save(path, {"step": 4})
    assert checkpoint.load(path)["step"] == 3
    assert list(path.parent.iterdir()) == [path]


def test_a_full_disk_is_one_line(tmp_path):
    with Path("/dev/full").open("wb", 0) as full, pytest.raises(ValueError, match="No space left on device"):
        write_atomically(tmp_path / "x", lambda file: full.write(b"x"))
    assert list(tmp_path.iterdir()) == []


class Bomb:
    exploded = False

    def __reduce__(self):
        return (setattr, (Bomb, "exploded", True))


def test_nothing_in_a_file_is_executed(tmp_path):
    path = tmp_path / "bomb.pt"
    torch.save({"format": checkpoint.FORMAT, "bomb": Bomb()}, path)
    with pytest.raises(ValueError, match="bomb.pt: damaged or no checkpoint"):
        checkpoint.load(path)
    path.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(ValueError, match="bomb.pt: damaged or no checkpoint"):
        checkpoint.load(path)
    assert not Bomb.exploded


def test_another_format_is_named(tmp_path):
    path = tmp_path / "old.pt"
    torch.save({"format": 0}, path)
    with pytest.raises(ValueError, match="checkpoint of format 0; this version reads format 2"):
        checkpoint.load(path)
    torch.save([1], path)
    with pytest.raises(ValueError, match="checkpoint of format None"):
        checkpoint.load(path)


def test_missing_is_missing(tmp_path):
    with pytest.raises(ValueError, match=r"none.pt: there is no such checkpoint"):
        checkpoint.load(tmp_path / "none.pt")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_file_is_refused_or_reads_the_same(path, tmp_path, data):
    content = bytearray(path.read_bytes())
    kind = data.draw(st.sampled_from(["flip", "cut", "random", "overwrite"]))
    if kind == "cut":
        content = content[: data.draw(st.integers(0, len(content) - 1))]
    elif kind == "random":
        content = data.draw(st.binary(max_size=300))
    else:
        size = 1 if kind == "flip" else 40
        place = data.draw(st.integers(0, len(content) - size))
        content[place : place + size] = data.draw(st.binary(min_size=size, max_size=size))
    damaged = tmp_path / "damaged.pt"
    damaged.write_bytes(bytes(content))
    try:
        loaded = checkpoint.load(damaged)
    except ValueError as error:
        assert "damaged.pt" in str(error)
        assert "\n" not in str(error)
    else:
        assert torch.equal(loaded["weights"], PAYLOAD["weights"])


def test_a_changed_tensor_is_noticed(path):
    """The archive stays a valid archive: only the checksum tells."""
    content = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        info = next(i for i in archive.infolist() if i.filename.endswith("data/0"))
    needle = torch.arange(600.0).numpy().tobytes()[400:440]
    place = content.index(needle)
    assert info.file_size == 2400
    path.write_bytes(content[:place] + bytes(40) + content[place + 40 :])
    with pytest.raises(ValueError, match="damaged"):
        checkpoint.load(path)
