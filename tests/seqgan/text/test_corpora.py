import gzip
import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from seqgan.text.coco_corpus import CocoCorpusSettings, prepare_coco
from seqgan.text.docstrings import standard_library_sentences, standard_library_sources
from seqgan.text.docstrings_corpus import DocstringsCorpusSettings, prepare_docstrings
from seqgan.text.files_corpus import FileCorpusSettings, prepare_files
from seqgan.text.prepared import PARTS
from seqgan.text.tiny_corpus import TinyCorpusSettings, prepare_tiny
from tests.seqgan.text.text_files import file_settings, words
from tests.shared_data import shared_data

ROOT = Path(__file__).resolve().parents[3]
TINY = ROOT / "seqgan" / "text" / "tiny.txt"


def one_line_error(prepare, corpus_settings) -> str:
    with pytest.raises(ValueError) as caught:
        prepare(corpus_settings)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_tiny_corpus_is_what_its_readme_says():
    corpus = prepare_tiny(TinyCorpusSettings(min_count=1))
    readme = (ROOT / "data" / "README.md").read_text()
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


@pytest.mark.slow
def test_docstrings_corpus(monkeypatch):
    folder = next(path.parent for path in standard_library_sources() if path.parent.name == "email")
    sentences = standard_library_sentences(folder)
    monkeypatch.setattr("seqgan.text.docstrings_corpus.standard_library_sentences", lambda: sentences)
    corpus = prepare_docstrings(DocstringsCorpusSettings())
    report = corpus.report
    kept = sum(len(corpus.sequences(part)) for part in PARTS)
    assert report["lines"] == len(sentences) > 200
    assert report["dropped"] + report["left_out"] + kept == len(sentences)
    assert report["validation/in_train"] == report["test/in_train"] == 0
    monkeypatch.setattr("seqgan.text.docstrings_corpus.standard_library_sentences", list)
    assert "--corpus.kind" in one_line_error(prepare_docstrings, DocstringsCorpusSettings())


def test_caption_corpus_keeps_its_test_part():
    folder = shared_data("coco")
    corpus = prepare_coco(CocoCorpusSettings(path=folder))
    assert len(corpus.test) == 10_000
    assert len(corpus.train) + len(corpus.validation) == 10_000
    assert 2_300 < corpus.vocabulary.size < 2_700
    assert corpus.report["validation/in_train"] == corpus.report["left_out"] == 0


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
    error = one_line_error(prepare_files, file_settings(tmp_path / name, content, max_length=5))
    assert error.startswith(f"{tmp_path / name}: ") and message in error


def test_missing_files_and_folders(tmp_path):
    assert "no-such: cannot be read: No such file" in one_line_error(
        prepare_files, FileCorpusSettings(path=tmp_path / "no-such")
    )
    assert "directory" in one_line_error(prepare_files, FileCorpusSettings(path=tmp_path))
    assert "--corpus.path" in one_line_error(prepare_files, FileCorpusSettings())
    assert "--corpus.path" in one_line_error(prepare_coco, CocoCorpusSettings())
    assert "train.txt" in one_line_error(prepare_coco, CocoCorpusSettings(path=tmp_path))


def test_the_tiny_corpus_comes_with_the_package(tmp_path):
    """What ``pip`` builds a wheel from holds the text, so that the preset works without this repository."""
    build = [sys.executable, "-c", "import setuptools; setuptools.setup()", "-q", "build_py"]
    shutil.copy(ROOT / "setup.cfg", tmp_path)
    for name in ("README.md", "seqgan", "leakgan"):
        (tmp_path / name).symlink_to(ROOT / name)
    subprocess.run([*build, "--build-lib", tmp_path / "built"], cwd=tmp_path, check=True, capture_output=True)
    built = tmp_path / "built" / "seqgan" / "text"
    assert (built / "tiny.txt").read_bytes() == TINY.read_bytes()
