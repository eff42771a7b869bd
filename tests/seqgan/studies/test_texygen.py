"""The published table of the Texygen benchmark, from the files that its repository has."""

import os
from pathlib import Path

import pytest

from seqgan.studies import processes, texygen
from tests.shared_data import shared_data

pytestmark = pytest.mark.slow


def check(name, path):
    lines, deviations = texygen.compare(name, texygen.measure(path, shared_data("coco/test.txt").parent))
    assert len(lines) == len(deviations) == 4 * len(texygen.PUBLISHED[name])
    assert max(deviations) < 0.0011, lines


def test_the_training_set():
    check("training set", shared_data("coco/train.txt"))


def test_the_present_table_is_whole():
    """Six models, three tables of four orders: docs/evaluation.md of the repository, at commit 2bf2502."""
    models = {name: columns for name, columns in texygen.PUBLISHED.items() if name != "training set"}
    assert models.keys() == texygen.FILES.keys()
    for columns in models.values():
        assert columns.keys() == {"bleu_train", "bleu", "self_bleu"}
        assert all(list(values) == sorted(values, reverse=True) for values in columns.values())
        assert columns["bleu_train"] > columns["bleu"]  # samples resemble what was trained on
    assert sum(len(values) for columns in models.values() for values in columns.values()) == 72


@pytest.mark.parametrize("name", sorted(texygen.FILES))
def test_the_samples_of_the_published_models(name):
    folder = os.environ.get("TEXYGEN_SAMPLES")
    if folder is None:
        pytest.skip("set TEXYGEN_SAMPLES to the folder docs/instances of the Texygen repository")
    check(name, Path(folder) / texygen.FILES[name])


def run(*arguments):
    return processes.main("texygen", texygen.main, [*map(str, arguments)])


def test_the_study_says_how_far_it_is_off(tmp_path, capsys):
    """Real captions agree; two other sentences as samples of a model do not."""
    coco = shared_data("coco/train.txt").parent
    assert run(coco) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "| training set | BLEU-4 | 0.3371 | 0.337 | +0.0001 |" in lines
    assert lines[-1] == "largest deviation 0.0007, less than the 0.0011 that published figures leave open"
    (tmp_path / "mle.txt").write_text("a cat .\na dog .\n")
    assert run(coco, tmp_path) == 1
    printed = capsys.readouterr().out
    assert sum(line.startswith("| MLE |") for line in printed.splitlines()) == 12
    assert "NOT less than the 0.0011" in printed


def test_wrong_use_is_named(tmp_path, capsys):
    for folders in ((tmp_path,), (shared_data("coco/train.txt").parent, tmp_path)):
        assert run(*folders) == 2
        errors = capsys.readouterr().err
        assert errors.startswith(f"texygen: error: {tmp_path}") and errors.count("\n") == 1
