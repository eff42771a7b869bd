import gzip
import hashlib
import json
import os
import random
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from seqgan.config.schema import Component, validate
from seqgan.text.corpora import CORPORA, from_texts, prepare_corpus
from seqgan.text.docstrings import standard_library_sentences, standard_library_sources
from seqgan.text.prepared import PARTS, PreparedCorpus
from seqgan.text.sources import (
    CocoCorpusSettings,
    DocstringsCorpusSettings,
    FileCorpusSettings,
    Lines,
    TextCorpusSettings,
    Texts,
    read_lines,
)
from seqgan.text.vocabulary import Vocabulary
from tests.shared_data import shared_data

TINY = Path(__file__).resolve().parents[3] / "data" / "tiny.txt"
own_corpus = Component(
    TextCorpusSettings, from_texts(lambda config: Texts(Lines("own", ["one two", "two three", "three four"])))
)


def file_config(path: Path, content: str | bytes, **options) -> FileCorpusSettings:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return FileCorpusSettings(path=path, **({"tokenizer": "whitespace"} | options))


def words(corpus: PreparedCorpus, part: str) -> list[str]:
    sequences = corpus.sequences(part)
    return [" ".join(corpus.vocabulary.decode(sequences[i])) for i in range(len(sequences))]


def one_line_error(config) -> str:
    with pytest.raises(ValueError) as caught:
        prepare_corpus(config)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_tiny_corpus_is_what_its_readme_says():
    corpus = prepare_corpus(FileCorpusSettings(path=TINY))
    readme = (TINY.parent / "README.md").read_text()
    assert hashlib.sha256(TINY.read_bytes()).hexdigest() in readme
    assert f"{corpus.report['lines']} sentences" in readme
    assert corpus.report["blank_lines"] == corpus.report["long_sequences"] == 0
    assert sum(corpus.report[f"{part}/duplicates"] for part in PARTS) == 0
    assert 250 < len({word for part in PARTS for line in words(corpus, part) for word in line.split()}) < 360
    assert max(corpus.report[f"{part}/longest"] for part in PARTS) <= 15
    lines = TINY.read_text().splitlines()
    tokenizer = corpus.build_tokenizer()
    read = [tokenizer.detokenize(line.split()) for line in words(corpus, "train")]
    assert set(read) <= set(lines)


def test_parts_hold_every_line_once_and_in_order(tmp_path):
    lines = [f"w{n} x{n}" for n in range(200)]
    corpus = prepare_corpus(
        file_config(tmp_path / "a", "\n".join(lines), validation_size=0.1, test_size=30.0)
    )
    assert [len(corpus.sequences(part)) for part in PARTS] == [150, 20, 30]
    train = words(corpus, "train")
    assert train == [line for line in lines if line in set(train)]
    assert set(words(corpus, "validation")) == {"<unk> <unk>"}  # the vocabulary is that of training alone
    assert corpus.vocabulary.size == 4 + 2 * 150
    assert all(corpus.train[i][-1] == corpus.vocabulary.eos_id for i in range(150))


def test_the_split_depends_on_its_seed_only(tmp_path):
    content = "\n".join(f"a{n}" for n in range(60))
    make = lambda seed: prepare_corpus(file_config(tmp_path / "a", content, split_seed=seed))  # noqa: E731
    assert make(0).digest == make(0).digest
    assert words(make(0), "train") != words(make(1), "train")


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(0, 12), min_size=40, max_size=80), st.integers(0, 3))
def test_drawn_parts_never_share_a_sequence(tmp_path, numbers, seed):
    lines = [f"n{number} b" for number in [*range(12), *numbers]]
    config = file_config(
        tmp_path / "a", "\n".join(lines), validation_size=0.2, test_size=0.2, split_seed=seed
    )
    raw = prepare_corpus(config)
    assert sum(len(raw.sequences(part)) for part in PARTS) == len(lines)
    in_train = set(words(raw, "train"))
    known = set(lines)
    counted = {line: lines.count(line) for line in known}
    for line in in_train:
        assert words(raw, "train").count(line) == counted[line]  # all its copies came along
    assert raw.report["validation/in_train"] == raw.report["test/in_train"] == 0
    assert raw.report["train/duplicates"] == len(raw.train) - len(in_train)


def test_given_parts_stay_as_they_are_and_overlap_is_reported(tmp_path):
    (tmp_path / "validation").write_text("a b\na b\nc c\n")
    (tmp_path / "test").write_text("b a\nz\n")
    config = file_config(
        tmp_path / "train",
        "a b\nb a\na b\nc\n",
        validation_path=tmp_path / "validation",
        test_path=tmp_path / "test",
    )
    corpus = prepare_corpus(config)
    assert words(corpus, "train") == ["a b", "b a", "a b", "c"]
    assert words(corpus, "validation") == ["a b", "a b", "c c"]
    assert words(corpus, "test") == ["b a", "<unk>"]
    report = corpus.report
    assert (report["train/duplicates"], report["validation/duplicates"], report["test/duplicates"]) == (
        1,
        1,
        0,
    )
    assert (report["validation/in_train"], report["test/in_train"]) == (2, 1)
    assert (report["train/unknown_share"], report["test/unknown_share"]) == (0, 1 / 3)
    assert (report["lines"], report["train/tokens"], report["validation/longest"]) == (9, 11, 3)
    assert (
        "validation: 3 sequences, 9 tokens, longest 3, 0.00% unknown, 1 duplicates, 2 also in train"
        in corpus.summary()
    )


@pytest.mark.parametrize("given_part", ["validation", "test"])
def test_a_part_that_is_not_given_is_drawn_from_training(tmp_path, given_part):
    (tmp_path / "given").write_text("x y\n")
    content = "\n".join(f"a{n}" for n in range(50))
    corpus = prepare_corpus(
        file_config(tmp_path / "a", content, **{f"{given_part}_path": tmp_path / "given"})
    )
    sizes = {part: len(corpus.sequences(part)) for part in PARTS}
    assert sizes == {"train": 45, "validation": 5, "test": 5} | {given_part: 1}


def test_long_sequences_are_counted_and_dropped_or_truncated(tmp_path):
    content = "\n".join(["a b c d", "a b c", "a b", "a", "b", "c", "a c", " ", ""])
    drop = prepare_corpus(file_config(tmp_path / "a", content, max_length=4))
    counts = ("lines", "blank_lines", "long_sequences", "dropped", "truncated")
    assert [drop.report[name] for name in counts] == [8, 1, 1, 1, 0]
    assert sum(len(drop.sequences(part)) for part in PARTS) == 6
    cut = prepare_corpus(file_config(tmp_path / "a", content, max_length=3, long_sequences="truncate"))
    assert [cut.report[name] for name in counts] == [8, 1, 2, 0, 2]
    sequences = [cut.sequences(part)[i] for part in PARTS for i in range(len(cut.sequences(part)))]
    assert len(sequences) == 7
    without_eos = [s for s in sequences if cut.vocabulary.eos_id not in s]
    assert [len(s) for s in without_eos] == [3, 3]
    assert all(s[-1] == cut.vocabulary.eos_id and len(s) <= 3 for s in sequences if len(set(s) & {2}))
    assert "2 too long (0 dropped, 2 truncated)" in cut.summary()


def test_vocabulary_settings_reach_the_corpus(tmp_path):
    content = "A a a b\n" * 3 + "A c\na d\na e\n"
    config = file_config(tmp_path / "a", content, lower_case=True, max_vocabulary_size=5)
    assert prepare_corpus(config).vocabulary.tokens[4:] == ("a",)
    corpus = prepare_corpus(file_config(tmp_path / "a", content, tokenizer="characters"))
    assert " " in corpus.vocabulary.ids
    assert "".join(corpus.vocabulary.decode(corpus.train[0])) in content


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("packed", [False, True])
def test_line_ends_byte_order_marks_and_gzip_change_nothing(tmp_path, newline, mark, packed):
    lines = ["été 猫", "", "b\x0cc\u2028d", " e "]
    data = mark + (newline.join(lines) + newline).encode()
    path = tmp_path / "text"
    path.write_bytes(gzip.compress(data) if packed else data)
    assert read_lines(path).lines == lines
    path.write_bytes(data.rstrip())
    assert read_lines(path).lines == [*lines[:-1], " e"]


BAD_FILES = {
    "empty": (b"", "is empty"),
    "blank": (b" \n\n\t\n", "is empty"),
    "unicode_blanks": ("\u3000\n\u2003\n".encode(), "only blank lines"),
    "mark_only": (b"\xef\xbb\xbf", "only blank lines"),
    "binary": (b"ab\ncd\0ef", "line 2, byte 5 is NUL"),
    "latin": (b"ab\r\ncaf\xe9 x\n", "line 2, byte 7"),
    "latin_after_mark": (b"\xef\xbb\xbfab\ncaf\xe9", "line 2, byte 9"),
    "utf16": ("a b\n".encode("utf-16"), "binary"),
    "one_line": (b"a b c\n", "leave none for training"),
    "same_lines": (b"a b c\n" * 50, "of 1 distinct sequences"),
    "two_lines": (b"a\nb\n", "leave none for training"),
    "too_long": (b"a b c d e f\n" * 20, "--corpus.max-length 5"),
    "not.gz": (b"a b\n" * 9, "gzip"),
    "cut.gz": (gzip.compress(b"a b\nc\nd\n" * 99)[:-9], "gzip"),
    "deflate": (gzip.compress(b"")[:10] + b"\xff" * 20, "gzip"),
    "bad": (gzip.compress(b"a b\nc\nd\n" * 99)[:-12] + b"xxxxxxxxxxxx", "gzip"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_unusable_files_give_one_line_that_names_them(tmp_path, name):
    content, message = BAD_FILES[name]
    error = one_line_error(file_config(tmp_path / name, content, max_length=5))
    assert error.startswith(f"{tmp_path / name}: ") and message in error


def test_missing_files_and_folders(tmp_path):
    assert "no-such: cannot be read: No such file" in one_line_error(
        FileCorpusSettings(path=tmp_path / "no-such")
    )
    assert "directory" in one_line_error(FileCorpusSettings(path=tmp_path))
    assert "--corpus.path" in one_line_error(FileCorpusSettings())
    assert "--corpus.path" in one_line_error(CocoCorpusSettings())
    assert "train.txt" in one_line_error(CocoCorpusSettings(path=tmp_path))


def test_settings_that_leave_nothing(tmp_path):
    content = "\n".join(f"a{n}" for n in range(20))
    assert "--corpus.min-count 2" in one_line_error(file_config(tmp_path / "a", content, min_count=2))
    for size in (0.99, 19.0, 1e9):
        error = one_line_error(file_config(tmp_path / "a", content, validation_size=size))
        assert "20 distinct sequences" in error
    assert "corpus.kind" in one_line_error(TextCorpusSettings(kind="novels"))
    assert "corpus.tokenizer" in one_line_error(file_config(tmp_path / "a", content, tokenizer="words"))


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("min_count", 0),
        ("max_length", 1),
        ("max_vocabulary_size", 4),
        ("validation_size", 0.0),
        ("test_size", -1.0),
    ],
)
def test_ranges(option, value):
    validate(FileCorpusSettings())
    with pytest.raises(ValueError, match="--corpus." + option.replace("_", "-")):
        validate(FileCorpusSettings(**{option: value}), "corpus.")


def test_a_users_own_source_by_import_path():
    corpus = prepare_corpus(TextCorpusSettings(kind=f"{__name__}:own_corpus", tokenizer="whitespace"))
    assert sorted(len(corpus.sequences(part)) for part in PARTS) == [1, 1, 1]
    assert set(CORPORA) == {"file", "docstrings", "coco"}


def test_docstrings_corpus(monkeypatch):
    folder = next(path.parent for path in standard_library_sources() if path.parent.name == "email")
    sentences = standard_library_sentences(folder)
    monkeypatch.setattr("seqgan.text.sources.standard_library_sentences", lambda: sentences)
    corpus = prepare_corpus(DocstringsCorpusSettings())
    assert corpus.report["lines"] == len(sentences) > 200
    assert corpus.report["dropped"] + sum(len(corpus.sequences(part)) for part in PARTS) == len(sentences)
    assert len(corpus.validation) == len(corpus.test)
    monkeypatch.setattr("seqgan.text.sources.standard_library_sentences", list)
    assert "--corpus.kind" in one_line_error(DocstringsCorpusSettings())


def test_caption_corpus_keeps_its_test_part():
    folder = shared_data("coco")
    corpus = prepare_corpus(CocoCorpusSettings(path=folder))
    assert len(corpus.test) == 10_000
    assert len(corpus.train) + len(corpus.validation) == 10_000
    assert 2_300 < corpus.vocabulary.size < 2_700
    assert corpus.report["validation/in_train"] < 5


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
    corpus = prepare_corpus(FileCorpusSettings(path=TINY, lower_case=True, min_count=2))
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
    other = prepare_corpus(FileCorpusSettings(path=TINY, lower_case=True, min_count=2, split_seed=1))
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


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.one_of(
        st.binary(max_size=80),
        st.text(max_size=80).map(str.encode),
        st.lists(st.text("ab'\".() \t\u3000é", max_size=9), max_size=15).map(
            lambda lines: "\n".join(lines).encode()
        ),
        st.binary(max_size=40).map(gzip.compress),
        st.binary(max_size=40).map(lambda data: b"\x1f\x8b" + data),
    ),
    options=st.fixed_dictionaries(
        {
            "tokenizer": st.sampled_from(["treebank", "whitespace", "characters"]),
            "max_length": st.integers(2, 6),
            "min_count": st.integers(1, 3),
            "long_sequences": st.sampled_from(["drop", "truncate"]),
            "validation_size": st.sampled_from([0.01, 0.5, 1.0, 3.0]),
        }
    ),
)
def test_any_file_gives_a_corpus_or_one_line(tmp_path, content, options):
    path = tmp_path / "fuzz"
    try:
        corpus = prepare_corpus(file_config(path, content, **options))
    except ValueError as error:
        assert str(error).startswith(f"{path}: ") and len(str(error).splitlines()) == 1
    else:
        assert corpus.summary()
        for part in PARTS:
            assert len(words(corpus, part)) > 0
            assert not np.isin(corpus.sequences(part).ids, corpus.vocabulary.forbidden).any()
