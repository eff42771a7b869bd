import json
import os
import random
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from seqgan.text.prepared import PARTS, PreparedCorpus
from seqgan.text.tiny_corpus import TinyCorpusSettings, prepare_tiny
from seqgan.text.vocabulary import Vocabulary


def test_sequences_that_are_ids_already():
    rng = np.random.default_rng(0)
    arrays = [rng.integers(0, 50, (n, 6)) for n in (20, 5, 7)]
    corpus = PreparedCorpus.from_ids(*arrays, Vocabulary.integers(50))
    assert corpus.max_length == 6
    for part, array in zip(PARTS, arrays, strict=True):
        assert np.array_equal(corpus.sequences(part).ids.reshape(-1, 6), array)
    assert corpus.report["train/unknown_share"] == 0
    assert corpus.build_tokenizer().detokenize(corpus.vocabulary.decode(arrays[0][0])).split() == [
        str(number) for number in arrays[0][0]
    ]
    largest = max(int(array.max()) for array in arrays)
    PreparedCorpus.from_ids(*arrays, Vocabulary.integers(largest + 1))
    with pytest.raises(ValueError, match=f"outside the vocabulary of {largest}"):
        PreparedCorpus.from_ids(*arrays, Vocabulary.integers(largest))
    with pytest.raises(ValueError, match="test part, or a sequence in it, is empty"):
        PreparedCorpus.from_ids(*arrays[:2], arrays[2][:0], Vocabulary.integers(50))


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prepared")
    corpus = prepare_tiny(TinyCorpusSettings(lower_case=True, min_count=2))
    corpus.save(folder)
    return corpus, folder


def test_what_is_saved_comes_back(prepared, tmp_path):
    corpus, folder = prepared
    loaded = PreparedCorpus.load(folder)
    assert loaded.digest == corpus.digest
    assert loaded.report == corpus.report
    assert loaded.vocabulary == corpus.vocabulary
    assert (loaded.tokenizer, loaded.lower_case, loaded.max_length) == ("treebank", True, 40)
    assert all(np.array_equal(loaded.sequences(part).ids, corpus.sequences(part).ids) for part in PARTS)
    assert sorted(path.name for path in folder.iterdir()) == ["corpus.json", "corpus.npz", "vocabulary.json"]
    corpus.save(folder)  # over itself
    corpus.save(tmp_path / "new" / "folder")
    for name in ("corpus.json", "corpus.npz", "vocabulary.json"):
        assert (tmp_path / "new" / "folder" / name).read_bytes() == (folder / name).read_bytes()
    assert json.loads((folder / "corpus.json").read_text())["report"] == corpus.report


def test_a_failed_save_leaves_what_was_there(prepared, tmp_path, monkeypatch):
    corpus, folder = prepared
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def full(*_args, **_options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(ValueError, match="No space left on device"):
        corpus.save(folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    (tmp_path / "file").write_text("x")
    with pytest.raises(ValueError, match="cannot be written"):
        corpus.save(tmp_path / "file")


def test_files_of_different_corpora_do_not_pass(prepared, tmp_path):
    corpus, _ = prepared
    other = prepare_tiny(TinyCorpusSettings(lower_case=True, min_count=2, split_seed=1))
    other.save(tmp_path)
    for name in ("corpus.json", "corpus.npz", "vocabulary.json"):
        corpus.save(tmp_path)
        own = (tmp_path / name).read_bytes()
        other.save(tmp_path)
        (tmp_path / name).write_bytes(own)
        with pytest.raises(ValueError, match=r"does not belong|is damaged"):
            PreparedCorpus.load(tmp_path)


class Evil:
    def __reduce__(self):
        return (os.mkdir, ("pwned",))


def test_pickles_are_not_read(prepared, tmp_path):
    corpus, _ = prepared
    corpus.save(tmp_path)
    arrays = {
        f"{part}_{name}": np.array([Evil()], dtype=object) for part in PARTS for name in ("ids", "offsets")
    }
    np.savez(tmp_path / "corpus.npz", **arrays)
    with pytest.raises(ValueError, match=r"corpus\.npz: is damaged"):
        PreparedCorpus.load(tmp_path)
    assert not Path("pwned").exists()


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2},
        {"tokenizer": 3},
        {"max_length": "9"},
        {"digest": "0"},
        {"lower_case": 0},
        {"counts": {"lines": 5}},
    ],
)
def test_changed_descriptions_are_refused(prepared, tmp_path, change):
    corpus, _ = prepared
    corpus.save(tmp_path)
    about = json.loads((tmp_path / "corpus.json").read_text())
    (tmp_path / "corpus.json").write_text(json.dumps(about | change))
    with pytest.raises(ValueError, match=str(tmp_path)):
        PreparedCorpus.load(tmp_path)


@pytest.mark.slow
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from(["corpus.json", "corpus.npz", "vocabulary.json"]),
    seed=st.integers(0, 2**32),
    cut=st.booleans(),
)
def test_damaged_prepared_files_give_one_line(prepared, tmp_path, name, seed, cut):
    corpus, folder = prepared
    for other in ("corpus.json", "corpus.npz", "vocabulary.json"):
        (tmp_path / other).write_bytes((folder / other).read_bytes())
    data = bytearray((folder / name).read_bytes())
    rng = random.Random(seed)
    for _ in range(rng.randint(1, 4)):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    if cut:
        del data[rng.randrange(len(data)) :]
    (tmp_path / name).write_bytes(data)
    try:
        assert PreparedCorpus.load(tmp_path).digest == corpus.digest  # the damage hit nothing that is used
    except ValueError as error:
        assert str(error).startswith(str(tmp_path)) and "\n" not in str(error)


def test_damaged_array_headers_give_one_line(prepared, tmp_path):
    """Headers inside the archive, with correct checksums around them."""
    corpus, folder = prepared
    corpus.save(tmp_path)
    with zipfile.ZipFile(folder / "corpus.npz") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    rng = random.Random(0)
    for _ in range(100):
        name = rng.choice(sorted(members))
        data = bytearray(members[name])
        for _ in range(rng.randint(1, 3)):
            data[rng.randrange(128)] = rng.choice(b"0123456789(),'{}:x<>iOfu\n\0")
        with zipfile.ZipFile(tmp_path / "corpus.npz", "w") as archive:
            for member, content in (members | {name: bytes(data)}).items():
                archive.writestr(member, content)
        try:
            assert PreparedCorpus.load(tmp_path).digest == corpus.digest
        except ValueError as error:
            assert str(error).startswith(str(tmp_path)) and "\n" not in str(error)
