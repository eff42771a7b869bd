"""Curves over temperature, top-k and top-p, and the pictures and tables that are made of them."""

import csv
import io
import math
import statistics

import numpy as np
import pytest

from leakgan.catalogue import CATALOGUE
from seqgan.cli import main
from seqgan.evaluation.kneser_ney import fit_kneser_ney
from seqgan.evaluation.likelihood import sequence_nll
from seqgan.evaluation.metrics import EVALUATION
from seqgan.experiment.catalogue import SEQGAN
from seqgan.experiment.experiment import Experiment, open_run
from seqgan.experiment.measurements import measure
from seqgan.oracle.model import is_official, load_oracle, random_oracle
from seqgan.oracle.published import KNOWN, best_known
from seqgan.reports.figures import to_svg
from seqgan.reports.pictures import draw_pictures
from seqgan.sampling.decoding import Decoding
from seqgan.studies.comparison import measure_runs
from seqgan.studies.runs import Runs
from seqgan.studies.sweep import decodings, known_envelopes, sweep
from tests.shared_data import shared_data
from tests.tiny_models import rng
from tests.tiny_run import flags, tiny_experiment

pytestmark = pytest.mark.slow

ORACLE = {
    "kind": "oracle",
    "vocabulary_size": 30,
    "max_length": 6,
    "num_train": 60,
    "num_validation": 20,
    "num_test": 40,
}


@pytest.fixture(scope="module", name="runs")
def finished_runs(tmp_path_factory):
    """Two that share their pre-training, one of them with another reward; and one of LeakGAN."""
    folder = tmp_path_factory.mktemp("sweep")
    tiny = ["--preset", "tiny", *flags(), "--data", str(folder / "data"), "--quiet"]
    assert main(["train", *tiny, "--run", str(folder / "one")]) == 0
    two = ["--run", str(folder / "two"), "--pretrained", str(folder / "one"), "--estimator.control", "random"]
    assert main(["train", *tiny, *two]) == 0
    leaked = tiny_experiment(folder / "leaked", catalogue=CATALOGUE)
    leaked.pretrain()
    leaked.loop.tracker.close()
    return folder


@pytest.fixture(scope="module", name="oracle_run")
def run_on_an_oracle(tmp_path_factory):
    settings = SEQGAN.load({"corpus": ORACLE, "mle": {"epochs": 1}, "evaluation": {"num_samples": 50}})
    experiment = Experiment(settings, tmp_path_factory.mktemp("oracle") / "run")
    experiment.loop.run(1)
    experiment.loop.tracker.close()
    return experiment.run.path


def test_ways_to_sample_turn_one_knob_at_a_time():
    ways = decodings([1.2, 0.5, 0.5], top_k=[4], top_p=[0.9, 0.3])
    assert {knob: [str(way) for way in found] for knob, found in ways.items()} == {
        "temperature": ["temperature=0.5", "temperature=1.2"],
        "top_k": ["temperature=1,top_k=4"],
        "top_p": ["temperature=1,top_p=0.3", "temperature=1,top_p=0.9"],
    }
    assert decodings([]) == {}


def opened(folder, *names):
    return Runs.open([folder / name for name in names])


def test_a_curve_for_every_generator_and_knob_of_all_runs_and_baselines(runs):
    studied = opened(runs, "one", "two", "leaked")
    curves = sweep(studied, decodings([0.5, 1.0], top_k=[3, 9]), quiet=True)
    labels = [(curve.label, curve.knob, len(curve.measurements)) for curve in curves]
    expected = [
        *("one: MLE", "one: adversarial"),  # that of "two" is the very same MLE model
        *("two: adversarial", "leaked: MLE", "5-grams"),
    ]
    found = [(label, knob, 2) for label in expected for knob in ("temperature", "top_k")]
    assert labels == [*found, ("training text", None, 1)]
    assert not list((runs / "two" / "evaluation").glob("mle-best,*"))
    for curve in curves[:-1]:
        for measurement in curve.measurements:
            signature = measurement.score.signature
            assert signature.top_k == measurement.decoding.top_k
            assert str(signature.temperature) == f"{measurement.decoding.temperature:g}"
            assert ("nll_test" in measurement.score.values) == (curve.knob == "temperature")
    cool, warm = (m.score.values for m in curves[0].measurements)
    assert cool["entropy"] < warm["entropy"]
    one = studied.first
    plain = one.evaluate(one.load_generator("mle-best")).score
    assert plain.values == warm  # temperature 1 is what train has measured


def test_a_report_too_measures_once_what_runs_share(runs):
    kept = runs / "two" / "evaluation" / "mle-best.json"
    kept.unlink()
    found = measure_runs(opened(runs, "one", "two"), quiet=True)
    measured = {(one.run, one.generator): one.measurement for one in found}
    assert not kept.exists()
    one, two = (measured[name, "mle-best"] for name in ("one", "two"))
    assert (one.run, two.run) == (runs / "one", runs / "two")
    assert one.as_json() == two.as_json()
    assert measured["two", "adversarial-last"].as_json() != measured["one", "adversarial-last"].as_json()
    assert measured["two", "adversarial-last"].generator == "adversarial-last"


def test_all_is_kept_and_nothing_is_measured_twice(runs):
    def times():
        return {path: path.stat().st_mtime_ns for path in (runs / "one" / "evaluation").iterdir()}

    curves = sweep(opened(runs, "one"), decodings([0.7], top_p=[0.5]), quiet=True)
    before = times()
    again = sweep(opened(runs, "one"), decodings([0.7], top_p=[0.5]), quiet=True)
    assert before == times()
    for first, second in zip(curves, again, strict=True):
        for old, new in zip(first.measurements, second.measurements, strict=True):
            assert old.as_json() == new.as_json()


def test_runs_of_different_corpora_are_refused(runs, oracle_run):
    with pytest.raises(ValueError, match=r"--run: .*run and .*one have different corpora"):
        Runs.open([runs / "one", oracle_run])


def test_the_oracle_is_a_point_where_both_sides_meet(oracle_run):
    studied = Runs.open([oracle_run])
    curves = sweep(studied, decodings([0.5, 1.0], top_k=[2]), quiet=True)
    assert [curve.label for curve in curves if not curve.knob] == ["training text", "the oracle itself"]
    oracle = curves[-1].measurements[0].score.values
    assert oracle["kl_p_q"] == 0 == oracle["kl_q_p"]
    pictures = {picture.name: picture for picture in draw_pictures(curves)}
    assert list(pictures) == ["likelihood", "bleu", "perplexity", "temperature"]
    (axes,) = pictures["likelihood"].figure.axes
    drawn = [tuple(line.get_xdata()) for line in axes.lines if len(line.get_xdata()) == 2]
    assert tuple(m.score.values["nll_test"] for m in curves[0].measurements) in drawn
    assert not known_envelopes(studied.first)  # known for the official oracle only


def test_bars_are_intervals_of_95_percent(runs):
    curves = sweep(opened(runs, "one"), decodings([0.5, 1.0]), baselines=False, quiet=True)
    (picture,) = (picture for picture in draw_pictures(curves) if picture.name == "bleu")
    bars = picture.figure.axes[0].containers[0].lines[2]  # of the first curve: across, then up
    for bar, name, column in zip(bars, ("self_bleu_5", "bleu_5"), (0, 1), strict=True):
        for segment, measurement in zip(bar.get_segments(), curves[0].measurements, strict=True):
            low, high = segment[:, column]
            half = statistics.NormalDist().inv_cdf(0.975) * measurement.score.standard_errors[name]
            value = measurement.score.values[name]
            assert (low, high) == pytest.approx((value - half, value + half), rel=1e-3)


@pytest.mark.parametrize(("kind", "order", "discount"), [("text", 5, None), ("oracle", 2, 0.9)])
def test_the_baseline_is_the_best_n_gram_model_for_the_corpus(runs, oracle_run, kind, order, discount):
    """Bigrams of discount 0.9 where there is an oracle, Kneser–Ney 5-grams on text: by the model itself."""
    experiment = open_run(oracle_run if kind == "oracle" else runs / "one")
    corpus, vocabulary = experiment.corpus, experiment.vocabulary
    possible = vocabulary.size - len(set(vocabulary.forbidden))
    model = fit_kneser_ney(corpus.train, order=order, vocabulary_size=possible, discount=discount)
    test = experiment.materials.split("test")
    sums = sequence_nll(experiment.load_generator("ngram"), test)
    np.testing.assert_allclose(-sums.numpy(), model.sequence_log_probs(corpus.test), rtol=1e-4)


def test_known_curves_belong_to_the_official_oracle():
    assert not is_official(random_oracle(rng()))
    assert is_official(load_oracle(shared_data("seqgan_oracle.npz")))
    for corners in KNOWN.values():
        x, y = zip(*corners, strict=True)
        assert list(x) == sorted(x) and list(y) == sorted(y, reverse=True)


def test_the_best_known_point_lies_on_the_lowest_curve_there():
    """Between the corners (7.6, 8.58) and (7.7, 8.22); beyond all corners nothing is known."""
    assert best_known(7.6) == 8.58
    assert best_known(7.65) == pytest.approx((8.58 + 8.22) / 2)
    assert best_known(7.8) == 7.92  # where all curves have a corner
    assert math.isnan(best_known(7.4)) and math.isnan(best_known(8.6))


@pytest.mark.parametrize(("values", "knobs"), [([5], []), ([5, 20], ["top_k"])])
def test_one_value_of_a_knob_is_a_point_and_no_line_across(runs, values, knobs):
    """``--top-k 5`` beside temperatures: lines across are those of real text alone, in every small figure."""
    curves = sweep(opened(runs, "one"), decodings([0.5, 1.0], top_k=values), quiet=True)
    pictures = {picture.name: picture for picture in draw_pictures(curves)}
    assert list(pictures) == ["bleu", "perplexity", "temperature", *knobs]
    small = [axes for axes in pictures["temperature"].figure.axes if axes.get_visible()]
    across = {line.get_label() for axes in small for line in axes.lines if list(line.get_xdata()) == [0, 1]}
    assert across == {"training text"}
    (legend,) = pictures["temperature"].figure.legends
    drawn = [text.get_text() for text in legend.get_texts()]
    assert drawn == ["MLE", "adversarial", "5-grams", "training text"]
    (legend,) = pictures["bleu"].figure.legends
    expected = [f"{label}{knob}" for label in drawn[:3] for knob in ("", ", top-k")]
    assert [text.get_text() for text in legend.get_texts()] == [*expected, "training text"]


def test_the_same_curves_are_drawn_the_same_and_other_curves_otherwise(runs):
    curves = sweep(opened(runs, "one"), decodings([0.5, 1.0]), quiet=True)
    first, second = (
        {picture.name: to_svg(picture.figure) for picture in draw_pictures(curves)} for _ in range(2)
    )
    assert first == second
    assert all(svg.startswith("<svg") and svg.endswith("</svg>\n") for svg in first.values())
    fewer = {picture.name: to_svg(picture.figure) for picture in draw_pictures(curves[1:])}
    assert fewer["bleu"] != first["bleu"]
    (axes,) = (
        p.figure.axes[0] for p in draw_pictures(curves, metrics=["distinct_3"]) if p.name == "temperature"
    )
    assert axes.get_title() == EVALUATION["distinct_3"].label


def test_the_command_writes_pictures_and_every_metric(runs, capfd, monkeypatch):
    monkeypatch.chdir(runs)
    command = ["sweep", "--run", "one", "--run", "two", "--temperatures", "0.5", "1", "--top-p", "0.5"]
    assert main([*command, "--output", "pictures"]) == 0
    names = [f"{name}.{end}" for name in ("bleu", "perplexity", "temperature") for end in ("svg", "png")]
    assert capfd.readouterr().out.splitlines() == [f"pictures/{name}" for name in ["sweep.csv", *names]]
    rows = list(csv.DictReader(io.StringIO((runs / "pictures" / "sweep.csv").read_text())))
    assert len(rows) == 4 * 3 + 1
    for row in rows:
        kept = measure(
            open_run(runs / row["run"]),
            row["generator"],
            Decoding(
                temperature=float(row["temperature"]), top_p=float(row["top_p"]) if row["top_p"] else None
            ),
        ).score
        assert row["signature"] == str(kept.signature)
        for name, value in kept.values.items():
            assert float(row[name]) == value
        for name, error in kept.standard_errors.items():
            assert float(row[f"{name}_error"]) == error


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--run", "nothing"], "--run: nothing is no run folder"),
        ([], "--run"),
        (["--run", "one", "--temperatures", "0"], "--temperatures: 0.0 is out of range"),
        (["--run", "one", "--top-p", "1.5"], "--top-p: 1.5 is out of range"),
        (["--run", "one", "--metrics", "beauty"], "--metrics: no metric 'beauty'"),
        (["--run", "one", "--checkpoint", "mle-worst"], "--checkpoint: one has no mle-worst; there is"),
        (["--run", "one", "--temperatures"], "give at least one value of one of them"),
    ],
)
def test_wrong_use_is_one_line_and_writes_nothing(runs, capfd, monkeypatch, arguments, message):
    monkeypatch.chdir(runs)
    assert main(["sweep", *arguments, "--output", "wrong"]) == 2
    errors = capfd.readouterr().err
    assert message in errors and errors.count("\n") == 1
    assert not (runs / "wrong").exists()


def test_without_matplotlib_it_is_said_before_anything_is_measured(runs, capfd, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    assert main(["sweep", "--run", str(runs / "one"), "--output", str(runs / "wrong")]) == 2
    assert "pictures need matplotlib: pip install 'seqgan[plots]'" in capfd.readouterr().err
    assert not (runs / "wrong").exists()
