"""Measurements of a run: kept, believed while they belong to the weights, and never when damaged."""

import json
import os
import shutil

import numpy as np
import pytest

from seqgan.experiment.measurements import fingerprint, measure, read_measurement
from seqgan.experiment.run_folder import REAL_TEXT
from seqgan.sampling.decoding import Decoding
from seqgan.studies.runs import Runs
from tests.tiny_run import tiny_experiment

COOL = Decoding(temperature=0.9)


@pytest.fixture(scope="module", name="folder")
def two_runs(tmp_path_factory, finished_run):
    """Of one corpus and not yet measured, with samples of different numbers in their settings."""
    folder = tmp_path_factory.mktemp("measurements")
    shutil.copytree(finished_run, folder / "one", ignore=shutil.ignore_patterns("evaluation"))
    layer = {"mle": {"epochs": 1}, "seed": 1, "evaluation": {"num_samples": 20}}
    experiment = tiny_experiment(folder / "two", layer)
    experiment.loop.run(1)
    experiment.loop.tracker.close()
    return folder


@pytest.fixture(name="runs")
def opened_copies(folder, tmp_path):
    for name in ("one", "two"):
        shutil.copytree(folder / name, tmp_path / name)
    return Runs.open([tmp_path / "one", tmp_path / "two"])


@pytest.fixture(name="run")
def first_of_them(runs):
    return runs.first


@pytest.mark.slow
def test_a_measurement_is_read_back_as_it_was(run):
    first, second = measure(run, "mle-best", COOL), measure(run, "mle-best", COOL)
    assert first.as_json() == second.as_json()
    assert first.score.sentence_values.keys() == second.score.sentence_values.keys()
    for name, values in first.score.sentence_values.items():
        assert second.score.sentence_values[name] == pytest.approx(values, rel=1e-6)
    path = run.run.evaluation("mle-best,temperature=0.9")
    kept = path.stat().st_mtime_ns
    assert measure(run, "mle-best", COOL, again=True).as_json() == first.as_json()
    assert path.stat().st_mtime_ns > kept


def test_values_belong_to_the_weights_whatever_the_files_times(run):
    """Weights written while a measurement runs may be older than it: only their content tells."""
    before = measure(run, "mle-best").score.values
    weights = run.run.generator("mle-best")
    times = weights.stat()
    shutil.copy(run.run.path.parent / "two" / "checkpoints" / "mle-best.pt", weights)
    os.utime(weights, ns=(times.st_atime_ns, times.st_mtime_ns))
    after = measure(run, "mle-best").score.values
    assert after["nll_test"] != before["nll_test"]
    assert after == measure(run, "mle-best", again=True).score.values


def test_weights_replaced_while_they_are_read_are_read_again(run, monkeypatch):
    """As by a training run beside ``evaluate``: fingerprint and values are of the same weights."""
    weights, load = run.run.generator("mle-best"), run.load_generator
    other = run.run.path.parent / "two" / "checkpoints" / "mle-best.pt"

    def loaded_just_before(name):
        generator = load(name)
        shutil.copy(other, weights)
        return generator

    monkeypatch.setattr(run, "load_generator", loaded_just_before)
    found = measure(run, "mle-best").score.values
    monkeypatch.undo()
    assert found == measure(run, "mle-best", again=True).score.values == measure(run, "mle-best").score.values


@pytest.mark.slow
def test_damaged_files_are_never_believed(run):
    measure(run, "mle-best")
    path, mark = run.run.evaluation("mle-best"), fingerprint(run, "mle-best")
    good = read_measurement(path, mark).as_json()
    rng = np.random.default_rng(0)
    for damaged in (path, path.with_suffix(".npz")):
        content = damaged.read_bytes()
        cut = [content[:length] for length in (0, 1, len(content) // 2, len(content) - 3)]
        flipped = [bytearray(content) for _ in range(300)]
        for text in flipped:
            text[rng.integers(len(text))] ^= 1 << rng.integers(8)
        for text in [*cut, b"[]", b"{}", b"[" * 100_000, *flipped]:
            damaged.write_bytes(text)
            found = read_measurement(path, mark)
            assert found is None or found.as_json() == good  # white space may change
        damaged.write_bytes(b"")
        assert measure(run, "mle-best").as_json() == good
        assert len(damaged.read_bytes()) == len(content)
    changed = json.loads(path.read_text()) | {"bleu_2": 5.0}
    path.write_text(json.dumps(changed))
    assert measure(run, "mle-best").score.values["bleu_2"] == good["bleu_2"]


def test_the_share_of_a_mixture_is_fitted_on_validation_text(run, monkeypatch):
    seen = []
    monkeypatch.setattr(
        "seqgan.experiment.measurements.fit_weight",
        lambda first, second, text: seen.append((second, text)) or 0.25,
    )
    assert measure(run, "mle-best+ngram").score.values["ngram_share"] == 0.25
    ((second, text),) = seen
    assert second is run.ngram
    assert text.tokens[text.mask].tolist() == run.corpus.validation.ids.tolist()


def test_another_version_measures_again(run, monkeypatch):
    measure(run, "mle-best")
    path = run.run.evaluation("mle-best")
    kept = path.stat().st_mtime_ns
    monkeypatch.setattr("seqgan.__version__", "99")
    measure(run, "mle-best")
    assert path.stat().st_mtime_ns > kept


@pytest.mark.slow
def test_runs_are_measured_with_samples_of_one_number(runs):
    """The first by itself takes 40, the second 20: beside each other both take 20."""
    assert runs.num_samples == 20
    alone = measure(runs.first, "mle-best").score.signature
    beside = [runs.measure((run, "mle-best")).score for run in ("one", "two")]
    assert alone.hypotheses == 40
    assert [score.signature.hypotheses for score in beside] == [20, 20]
    assert [len(score.sentence_values["bleu_4"]) for score in beside] == [20, 20]
    assert runs.measure(("one", REAL_TEXT)).score.signature.hypotheses == 20
    assert measure(runs.first, "mle-best").score.signature == alone
    names = {path.name for path in (runs.first.run.path / "evaluation").glob("mle-best*.json")}
    assert names == {"mle-best.json", "mle-best,samples=20.json"}


def test_what_a_run_may_not_write_is_measured_all_the_same(run, monkeypatch, caplog):
    (run.run.path / "evaluation").write_text("in the way")
    assert measure(run, "mle-best").score.values
    assert "cannot be written" in caplog.text


def test_real_text_is_that_of_training_against_the_same_references(run):
    real = measure(run, REAL_TEXT).score
    assert str(real.signature).startswith("hypotheses:40|references:44|")
    assert real.values["bleu_2"] > measure(run, "mle-best").score.values["bleu_2"]
    assert "nll_test" not in real.values and "novelty" not in real.values
