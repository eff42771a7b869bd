"""The published table of the Texygen benchmark, from the files that its repository has."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.shared_data import shared_data
from tests.tiny_run import ROOT

SCRIPT = ROOT / "scripts" / "texygen.py"
SPECIFICATION = importlib.util.spec_from_file_location("texygen", SCRIPT)
texygen = importlib.util.module_from_spec(SPECIFICATION)
SPECIFICATION.loader.exec_module(texygen)


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
    command = [sys.executable, SCRIPT, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_script_says_how_far_it_is_off(tmp_path):
    """Real captions agree; two other sentences as samples of a model do not."""
    coco = shared_data("coco/train.txt").parent
    result = run(coco)
    assert (result.returncode, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert "| training set | BLEU-4 | 0.3371 | 0.337 | +0.0001 |" in lines
    assert lines[-1] == "largest deviation 0.0007, less than the 0.0011 that published figures leave open"
    (tmp_path / "mle.txt").write_text("a cat .\na dog .\n")
    result = run(coco, tmp_path)
    assert result.returncode == 1
    assert sum(line.startswith("| MLE |") for line in result.stdout.splitlines()) == 12
    assert "NOT less than the 0.0011" in result.stdout


def test_wrong_use_is_named(tmp_path):
    for folders in ((tmp_path,), (shared_data("coco/train.txt").parent, tmp_path)):
        result = run(*folders)
        assert result.returncode == 2
        assert result.stderr.startswith(f"texygen: {tmp_path}") and result.stderr.count("\n") == 1
