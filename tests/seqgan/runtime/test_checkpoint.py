import hashlib
import io
import os
import pickle
import random
import zipfile

import numpy as np
import pytest
import torch

from seqgan.runtime import checkpoint
from seqgan.runtime.files import as_value_error

PAYLOAD = {
    "weights": torch.arange(600.0),
    "step": 3,
    "nested": {"text": "ä", "none": None, "list": [1.5]},
    "corpus": "abc",
}


@pytest.fixture(name="path")
def saved(tmp_path):
    path = tmp_path / "folder" / "state.pt"
    checkpoint.save(path, PAYLOAD)
    return path


def seal(content):
    """The file as documented: the archive, then a line with its digest."""
    return content + b"\nblake2b " + hashlib.blake2b(content, digest_size=32).hexdigest().encode() + b"\n"


def archive_of(payload):
    file = io.BytesIO()
    torch.save(payload, file)
    return file.getvalue()


def refusal(path, **options):
    """The one line with which a file is refused."""
    with pytest.raises(ValueError, match=path.name) as error:
        checkpoint.load(path, **options)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_what_is_saved_is_read_back(path):
    loaded = checkpoint.load(path)
    assert torch.equal(loaded["weights"], PAYLOAD["weights"])
    assert (loaded["step"], loaded["nested"]) == (3, PAYLOAD["nested"])
    assert path.read_bytes() == seal(archive_of({"format": checkpoint.FORMAT, **PAYLOAD}))


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


class Bomb:
    exploded = False

    def __reduce__(self):
        return (setattr, (Bomb, "exploded", True))


def test_nothing_in_a_file_is_executed(tmp_path):
    path = tmp_path / "bomb.pt"
    for content in (archive_of({"format": checkpoint.FORMAT, "bomb": Bomb()}), pickle.dumps(Bomb())):
        for whole in (content, seal(content)):
            path.write_bytes(whole)
            assert "damaged or no checkpoint" in refusal(path)
    assert not Bomb.exploded


OLD = 2


@pytest.mark.parametrize("payload", [{"format": OLD}, {"format": torch.ones(2)}, {}, [1], {"format": True}])
def test_another_format_is_named(tmp_path, payload):
    path = tmp_path / "old.pt"
    path.write_bytes(seal(archive_of(payload)))
    found = 2 if isinstance(payload, dict) and payload.get("format") is OLD else None
    assert refusal(path).endswith(f"its format is {found}, not {checkpoint.FORMAT}")
    path.write_bytes(archive_of(payload))
    assert "written by another version" in refusal(path)


def test_another_corpus_is_refused(path):
    assert checkpoint.load(path, corpus="abc")["step"] == 3
    assert refusal(path, corpus="abd").endswith("state.pt: made with another corpus")
    checkpoint.save(path, {"step": 4})
    assert refusal(path, corpus="abc").endswith("state.pt: made with another corpus")


def test_missing_is_missing(tmp_path):
    assert refusal(tmp_path / "none.pt").endswith("none.pt: there is no such checkpoint")
    with pytest.raises(ValueError, match=r"none\.pt"):
        checkpoint.read_digest(tmp_path / "none.pt")


@pytest.mark.slow
def test_every_flipped_bit_is_noticed(path, tmp_path):
    """Local headers, pickle, tensors, the directory with its unchecked flags, and the trailer."""
    content = path.read_bytes()
    directory = content.rindex(b"PK\x05\x06")
    first_entry = content.index(b"PK\x01\x02")
    places = {first_entry + 38: 0x10}  # "is a folder": torch then reads uninitialised memory
    rng = random.Random(0)
    for start, end in (
        (0, 64),
        (64, first_entry),
        (first_entry, directory),
        (directory, len(content) - 74),
        (len(content) - 74, len(content)),
    ):
        places |= {rng.randrange(start, end): 1 << rng.randrange(8) for _ in range(60)}
    damaged = tmp_path / "damaged.pt"
    for place, bit in places.items():
        damaged.write_bytes(content[:place] + bytes([content[place] ^ bit]) + content[place + 1 :])
        assert "damaged" in refusal(damaged)


@pytest.mark.parametrize("length", [0, 1, 40, 75, 500, 2000, -75, -74, -1])
def test_every_cut_is_noticed(path, length):
    path.write_bytes(path.read_bytes()[:length])
    assert "damaged" in refusal(path)


def forge(rng, content):
    """The archive with a damaged pickle whose checksums are right all the same."""
    forged = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(forged, "w") as new:
        for entry in old.infolist():
            data = bytearray(old.read(entry))
            if entry.filename.endswith("data.pkl"):
                for _ in range(rng.randint(1, 3)):
                    data[rng.randrange(len(data))] = rng.randrange(256)
            new.writestr(entry, bytes(data))
    return seal(forged.getvalue())


@pytest.mark.slow
def test_forged_pickles_are_one_line(tmp_path):
    """Whatever a file makes the reader raise, of which IndexError and TypeError were once forgotten."""
    path, rng = tmp_path / "forged.pt", random.Random(1)
    model = torch.nn.Linear(4, 3)
    content = archive_of({"format": checkpoint.FORMAT, "generator": model.state_dict(), "n": [1, {"a": 2.0}]})
    causes = set()
    for _ in range(400):
        path.write_bytes(forge(rng, content))
        try:
            payload = checkpoint.load(path)
            with as_value_error(f"{path}: does not fit the run's settings"):
                checkpoint.load_weights(model, payload["generator"])
        except ValueError as error:
            assert "forged.pt: " in str(error)
            assert "\n" not in str(error)
            causes.add(type(error.__cause__))
    assert {pickle.UnpicklingError, IndexError} < causes


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        (float("nan"), "nested/1/w holds NaN or infinity"),
        (float("-inf"), "nested/1/w holds NaN or infinity"),
        (1j, "nested/1/w is complex"),
    ],
)
def test_tensors_that_are_not_finite_are_neither_saved_nor_read(tmp_path, value, complaint):
    path, payload = tmp_path / "state.pt", {"nested": [0, {"w": torch.tensor([1.0, value])}]}
    with pytest.raises(ValueError, match=rf"state.pt: not saved: {complaint}"):
        checkpoint.save(path, payload)
    assert not path.exists()
    path.write_bytes(seal(archive_of({"format": checkpoint.FORMAT, **payload})))
    assert refusal(path).endswith(complaint)


@pytest.mark.parametrize(
    "value", [object(), np.float64(3.0), np.ones(3), lambda: 3, torch.float32, {object(): 1}]
)
def test_what_could_not_be_read_again_is_not_saved(tmp_path, value):
    path = tmp_path / "state.pt"
    with pytest.raises(ValueError, match=f"^{path}: not saved: .*nested/1/w .*; it must be tensors, numbers"):
        checkpoint.save(path, {"nested": [0, {"w": value}]})
    assert not path.exists()


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"weight": torch.zeros(3, 4).half()}, r"weight is float16 \(3, 4\); it must be float32 \(3, 4\)"),
        ({"weight": torch.zeros(3, 4).cfloat()}, r"weight is complex64 \(3, 4\); it must be float32"),
        ({"bias": torch.zeros(4)}, r"bias is float32 \(4,\); it must be float32 \(3,\)"),
        ({"bias": torch.tensor([0, 1, float("nan")])}, "bias holds NaN or infinity"),
        ({"bias": [0.0, 0.0, 0.0]}, r"bias is list; it must be float32 \(3,\)"),
        ({"other": torch.zeros(3)}, "other is not known"),
        ({"bias": None}, "bias is missing"),
    ],
)
def test_weights_that_are_not_the_modules_own_are_refused_by_name(change, complaint):
    module = torch.nn.Linear(4, 3)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    weights = {name: torch.ones_like(value) for name, value in before.items()} | change
    if change.get("bias", 0) is None:
        del weights["bias"]
    with pytest.raises(ValueError, match=f"^{complaint}"):
        checkpoint.load_weights(module, weights)
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    checkpoint.load_weights(module, {name: torch.ones_like(value) for name, value in before.items()})
    assert all((value == 1).all() for value in module.state_dict().values())


def test_the_digest_tells_content_from_content(path, tmp_path):
    other = tmp_path / "other.pt"
    checkpoint.save(other, PAYLOAD)
    assert checkpoint.read_digest(other) == checkpoint.read_digest(path)
    checkpoint.save(other, {**PAYLOAD, "step": 4})
    assert checkpoint.read_digest(other) != checkpoint.read_digest(path)
    assert (
        checkpoint.read_digest(path) == hashlib.blake2b(path.read_bytes()[:-74], digest_size=32).hexdigest()
    )
