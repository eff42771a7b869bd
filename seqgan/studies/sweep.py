"""Generators over a range of temperatures, top-k and top-p: quality against diversity as curves.

Cooling the softmax buys one with the other, so that a single point says nothing: a model is better
than another where its curve is (Caccia et al. 2020, "Language GANs Falling Short").
"""

from collections.abc import Mapping, Sequence

from tqdm import tqdm

from seqgan.experiment.experiment import Experiment
from seqgan.experiment.run_folder import REAL_TEXT
from seqgan.oracle.published import Curve as Published
from seqgan.oracle.published import published_curves
from seqgan.reports.findings import Curve
from seqgan.sampling.decoding import Decoding
from seqgan.studies.runs import Name, Runs

TEMPERATURES = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2)
FIXED = ("oracle", REAL_TEXT)  # what no way of sampling changes


def decodings(
    temperatures: Sequence[float] = TEMPERATURES, top_k: Sequence[int] = (), top_p: Sequence[float] = ()
) -> dict[str, list[Decoding]]:
    """Return ways to sample by the one knob that each turns, ascending and without repetition."""
    ways = {
        "temperature": [Decoding(temperature=value) for value in sorted(set(temperatures))],
        "top_k": [Decoding(top_k=value) for value in sorted(set(top_k))],
        "top_p": [Decoding(top_p=value) for value in sorted(set(top_p))],
    }
    return {knob: found for knob, found in ways.items() if found}


def sweep(
    runs: Runs,
    ways: Mapping[str, Sequence[Decoding]],
    *,
    checkpoints: Sequence[str] = (),
    baselines: bool = True,
    quiet: bool = False,
) -> list[Curve]:
    """Measure a curve for every generator and knob.

    With ``baselines`` also n-grams, real text and the oracle. By default the generators are each run's MLE
    model and the furthest that it has. One that several runs share is measured and drawn once. Everything
    measured is kept in its run, so that a sweep that was interrupted goes on where it stopped.

    Raises:
        ValueError: A run has no generator or not that checkpoint, or there is no way to sample.
    """
    if not ways:
        raise ValueError("--temperatures, --top-k, --top-p: give at least one value of one of them")
    different: dict[str, Name] = {}
    for name in runs.generators(checkpoints):
        different.setdefault(runs.fingerprint(name), name)
    wanted = [*different.values(), *(runs.baselines() if baselines else [])]
    plan = [
        (name, knob, found)
        for name in wanted
        for knob, found in ({None: [Decoding()]} if name[1] in FIXED else ways).items()
    ]
    curves = []
    total = sum(len(found) for *_, found in plan)
    with tqdm(total=total, desc="sweep", unit=" points", disable=quiet or None, leave=False) as bar:
        for name, knob, found in plan:
            label, measurements = runs.title(name), []
            for way in found:
                bar.set_postfix_str(f"{label}, {way}")
                measurements.append(runs.measure(name, way))
                bar.update()
            curves.append(Curve(label, measurements, knob))
    return curves


def known_envelopes(experiment: Experiment) -> Mapping[str, Published]:
    """Return curves from publications, where they belong to the experiment's corpus."""
    corpus = experiment.corpus
    return published_curves(experiment.oracle, num_train=len(corpus.train), length=corpus.max_length)
