import gzip
from collections import Counter

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from seqgan.config.schema import validate
from seqgan.text.context import Part
from seqgan.text.files_corpus import FileCorpusSettings, prepare_files
from seqgan.text.lines import Lines
from seqgan.text.preparation import TextCorpusSettings, Texts, prepare_texts, split
from seqgan.text.prepared import PARTS, PreparedCorpus
from seqgan.text.sequences import Sequences
from tests.text_files import file_settings, words


def test_parts_hold_every_line_once_and_in_order(tmp_path):
    lines = [f"w{n} x{n}" for n in range(200)]
    corpus = prepare_files(
        file_settings(tmp_path / "a", "\n".join(lines), validation_size=0.1, test_size=30.0)
    )
    assert [len(corpus.sequences(part)) for part in PARTS] == [150, 20, 30]
    train = words(corpus, "train")
    assert train == [line for line in lines if line in set(train)]
    assert set(words(corpus, "validation")) == {"<unk> <unk>"}  # the vocabulary is that of training alone
    assert corpus.vocabulary.size == 4 + 2 * 150
    assert all(corpus.train[i][-1] == corpus.vocabulary.eos_id for i in range(150))


def test_the_split_depends_on_its_seed_only(tmp_path):
    content = "\n".join(f"a{n}" for n in range(60))
    make = lambda seed: prepare_files(file_settings(tmp_path / "a", content, split_seed=seed))  # noqa: E731
    assert make(0).digest == make(0).digest
    assert words(make(0), "train") != words(make(1), "train")


@pytest.mark.slow
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(0, 12), min_size=40, max_size=80), st.integers(0, 3))
def test_drawn_parts_never_share_a_sequence(tmp_path, numbers, seed):
    lines = [f"n{number} b" for number in [*range(12), *numbers]]
    corpus_settings = file_settings(
        tmp_path / "a", "\n".join(lines), validation_size=0.2, test_size=0.2, split_seed=seed
    )
    raw = prepare_files(corpus_settings)
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
    corpus_settings = file_settings(
        tmp_path / "train",
        "a b\nb a\na b\nc\n",
        validation_path=tmp_path / "validation",
        test_path=tmp_path / "test",
    )
    corpus = prepare_files(corpus_settings)
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
    corpus = prepare_files(
        file_settings(tmp_path / "a", content, **{f"{given_part}_path": tmp_path / "given"})
    )
    sizes = {part: len(corpus.sequences(part)) for part in PARTS}
    assert sizes == {"train": 45, "validation": 5, "test": 5} | {given_part: 1}


def test_long_sequences_are_counted_and_dropped_or_truncated(tmp_path):
    content = "\n".join(["a b c d", "a b c", "a b", "a", "b", "c", "a c", " ", ""])
    drop = prepare_files(file_settings(tmp_path / "a", content, max_length=4))
    counts = ("lines", "blank_lines", "long_sequences", "dropped", "truncated")
    assert [drop.report[name] for name in counts] == [8, 1, 1, 1, 0]
    assert sum(len(drop.sequences(part)) for part in PARTS) == 6
    cut = prepare_files(file_settings(tmp_path / "a", content, max_length=3, long_sequences="truncate"))
    assert [cut.report[name] for name in counts] == [8, 1, 2, 0, 2]
    sequences = [cut.sequences(part)[i] for part in PARTS for i in range(len(cut.sequences(part)))]
    assert len(sequences) == 7
    without_eos = [s for s in sequences if cut.vocabulary.eos_id not in s]
    assert [len(s) for s in without_eos] == [3, 3]
    assert all(s[-1] == cut.vocabulary.eos_id and len(s) <= 3 for s in sequences if len(set(s) & {2}))
    assert "2 too long (0 dropped, 2 truncated)" in cut.summary()


def test_vocabulary_settings_reach_the_corpus(tmp_path):
    content = "A a a b\n" * 3 + "A b\nb a\na a\nb B\nc a\n"
    corpus_settings = file_settings(tmp_path / "a", content, lower_case=True, max_vocabulary_size=6)
    assert prepare_files(corpus_settings).vocabulary.tokens[4:] == ("a", "b")
    corpus = prepare_files(file_settings(tmp_path / "a", content, tokenizer="characters"))
    assert " " in corpus.vocabulary.ids
    assert "".join(corpus.vocabulary.decode(corpus.train[0])) in content


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_count": 2}, "--corpus.min-count 2 leaves no token"),
        ({"validation_size": 0.99}, "20 distinct sequences"),
        ({"validation_size": 19.0}, "20 distinct sequences"),
        ({"validation_size": 1e9}, "20 distinct sequences"),
        ({"tokenizer": "words"}, "--corpus.tokenizer"),
    ],
)
def test_settings_that_leave_nothing(tmp_path, options, message):
    content = "\n".join(f"a{n}" for n in range(20))
    with pytest.raises(ValueError, match=f"^[^\n]*{message}[^\n]*$"):
        prepare_files(file_settings(tmp_path / "a", content, **options))


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


def test_lines_from_anywhere_make_a_corpus():
    texts = Texts(Lines("own", ["one two", "two three", "three four"]))
    corpus = prepare_texts(texts, TextCorpusSettings(kind="own", tokenizer="whitespace"))
    assert [len(corpus.sequences(part)) for part in PARTS] == [1, 1, 1]


@pytest.mark.slow
@given(st.lists(st.text("abcdefgh", min_size=1, max_size=4), min_size=8, max_size=60), st.integers(0, 3))
def test_held_out_sequences_are_not_among_those_trained_on_once_rare_words_are_unknown(lines, seed):
    """Against a naive loop over the parts as they were drawn, before any word was unknown."""
    numbers = {letter: number for number, letter in enumerate("abcdefgh")}
    rows = Sequences.from_lists([numbers[letter] for letter in line] for line in lines)
    sizes = {"validation": 0.3, "test": 0.3}
    options = {"validation_size": 0.3, "split_seed": seed, "tokenizer": "characters", "min_count": 3}
    try:
        raw = {name: part.sequences for name, part in split(Part(rows), sizes, seed, "raw").items()}
        corpus = prepare_texts(
            Texts(Lines("own", lines)), TextCorpusSettings(kind="own", **options), test_size=0.3
        )
    except ValueError:
        return
    drawn = {part: [["abcdefgh"[i] for i in raw[part][n]] for n in range(len(raw[part]))] for part in PARTS}
    counts = Counter(letter for line in drawn["train"] for letter in line)
    seen = {
        part: [" ".join(letter if counts[letter] >= 3 else "<unk>" for letter in line) for line in rows]
        for part, rows in drawn.items()
    }
    assert words(corpus, "train") == seen["train"]
    for part in ("validation", "test"):
        assert words(corpus, part) == [line for line in seen[part] if line not in set(seen["train"])]
        assert corpus.report[f"{part}/in_train"] == 0
    left = sum(len(seen[part]) - len(words(corpus, part)) for part in PARTS)
    assert corpus.report["left_out"] == left


def test_a_part_whose_sequences_all_become_training_ones_is_refused(tmp_path):
    content = "\n".join(f"a b{n}" for n in range(20))
    with pytest.raises(ValueError, match=r"every validation sequence is also .* smaller --corpus\.min-count"):
        prepare_files(file_settings(tmp_path / "a", content, min_count=2))


def test_by_default_the_model_learns_where_unknown_words_stand(tmp_path):
    """Also in a text of the user's; only where that would cost half of the words are all of them kept."""
    common = ["the cat sat on the mat", "the dog sat on the mat", "the cat saw the dog"]
    content = "\n".join(f"{line} {place}" for place in range(20) for line in common)
    content = "\n".join([*content.splitlines(), *(f"the x{n} saw the y{n} on the dog" for n in range(20))])
    corpus = prepare_files(file_settings(tmp_path / "a", content, min_count=None))
    assert corpus.report["min_count"] == 2
    assert 0.05 < corpus.report["train/unknown_share"] < 0.2
    assert "seen at least 2 times" in corpus.summary()
    few = "\n".join(f"w{n} x{n}" for n in range(30))
    assert prepare_files(file_settings(tmp_path / "a", few, min_count=None)).report["min_count"] == 1


def test_errors_of_a_users_tokenizer_name_the_line(tmp_path):
    (tmp_path / "own.py").write_text(
        "class Own:\n"
        "    def tokenize(self, text): return [part[0] and part for part in text.split(' ')]\n"
        "    def detokenize(self, tokens): return ' '.join(tokens)\n"
    )
    own = f"{tmp_path / 'own.py'}:Own"
    corpus_settings = file_settings(tmp_path / "a", "a b\nb c\na  c\nd e\n", tokenizer=own)
    with pytest.raises(
        ValueError, match=r"a, line 3: --corpus\.tokenizer: .*own\.py:Own\.tokenize failed on 'a  c'"
    ):
        prepare_files(corpus_settings)


def test_a_tokenizer_in_a_file_is_found_from_any_folder(tmp_path, monkeypatch):
    (tmp_path / "reversing.py").write_text(
        "class Reversing:\n"
        "    def tokenize(self, text): return text.split()[::-1]\n"
        "    def detokenize(self, tokens): return ' '.join(tokens[::-1])\n"
    )
    monkeypatch.chdir(tmp_path)
    content = "\n".join(f"{a} {b}" for a in "abcd" for b in "efgh")
    corpus_settings = file_settings(tmp_path / "a", content, tokenizer="reversing.py:Reversing")
    prepare_files(corpus_settings).save(tmp_path / "prepared")
    monkeypatch.chdir("/")
    corpus = PreparedCorpus.load(tmp_path / "prepared")
    assert words(corpus, "train")[0][0] in "efgh"
    assert set(corpus.texts("train")) <= set(content.splitlines())


@pytest.mark.slow
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
        corpus = prepare_files(file_settings(path, content, **options))
    except ValueError as error:
        assert str(error).startswith(f"{path}: ") and len(str(error).splitlines()) == 1
    else:
        assert corpus.summary()
        for part in PARTS:
            assert len(words(corpus, part)) > 0
            assert not np.isin(corpus.sequences(part).ids, corpus.vocabulary.forbidden).any()
