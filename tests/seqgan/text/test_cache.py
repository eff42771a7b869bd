import dataclasses
import os
import shutil
import sys
from pathlib import Path

import pytest

from seqgan.text.cache import prepare_corpus
from seqgan.text.files_corpus import FileCorpusSettings, prepare_files
from seqgan.text.prepared import PreparedCorpus
from tests.text_files import file_settings, words

TEXT = "\n".join(f"{a} {b}" for a in "abcd" for b in "efgh")


class CountingBuild:
    """Prepares files, and counts how often."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, settings: FileCorpusSettings) -> PreparedCorpus:
        self.calls += 1
        return prepare_files(settings)


@pytest.mark.parametrize("change", ["nothing", "text", "settings"])
def test_a_corpus_is_read_again_until_something_changes(tmp_path, change):
    build, cache = CountingBuild(), tmp_path / "cache"
    first = prepare_corpus(file_settings(tmp_path / "a", TEXT), build, cache)
    text, options = TEXT, {}
    if change == "text":
        text += "\ne f"
    if change == "settings":
        options = {"lower_case": True}
    again = prepare_corpus(file_settings(tmp_path / "a", text, **options), build, cache)
    assert build.calls == (1 if change == "nothing" else 2)
    assert (again.digest == first.digest) == (change == "nothing")


def test_what_comes_through_a_pipe_is_read_every_time(tmp_path):
    """As in ``--corpus.path <(zcat mine.txt.gz)``, whose path is the same for every text."""
    digests = set()
    for text in (TEXT, TEXT + "\ne f"):
        reading, writing = os.pipe()
        os.write(writing, text.encode())
        os.close(writing)
        settings = dataclasses.replace(
            file_settings(tmp_path / "a", TEXT), path=Path(f"/proc/self/fd/{reading}")
        )
        digests.add(prepare_corpus(settings, prepare_files, tmp_path / "cache").digest)
        os.close(reading)
    assert len(digests) == 2
    assert not (tmp_path / "cache").exists()


def test_without_a_cache_it_is_built(tmp_path):
    build = CountingBuild()
    for _ in range(2):
        prepare_corpus(file_settings(tmp_path / "a", TEXT), build)
    assert build.calls == 2


OWN = """
class Own:
    def tokenize(self, text):
        return text.split()[::{step}]

    def detokenize(self, tokens):
        return " ".join(tokens)
"""


def test_a_changed_tokenizer_of_the_users_is_seen(tmp_path):
    """As in two commands one after the other, between which the user has changed the file."""
    found = []
    for step in (1, -1):
        (tmp_path / "own.py").write_text(OWN.format(step=step))
        corpus_settings = file_settings(tmp_path / "a", TEXT, tokenizer=f"{tmp_path / 'own.py'}:Own")
        found.append(words(prepare_corpus(corpus_settings, prepare_files, tmp_path / "cache"), "train"))
        forget_modules_in(tmp_path)
    assert found[0] == [line[::-1] for line in found[1]]


def forget_modules_in(folder: Path) -> None:
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None) or "").startswith(str(folder)):
            del sys.modules[name]
    shutil.rmtree(folder / "__pycache__", ignore_errors=True)
