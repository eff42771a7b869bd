"""Generators over a range of temperatures, top-k and top-p: quality against diversity as curves.

Cooling the softmax buys one with the other, so that a single point says nothing: a model is better
than another where its curve is (Caccia et al. 2020, "Language GANs Falling Short").
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from tqdm import tqdm

from seqgan.experiment.experiment import Experiment
from seqgan.experiment.generator_files import FURTHEST
from seqgan.experiment.run_folder import OF_THE_CORPUS, REAL_TEXT
from seqgan.reports.measurements import Measurement, measure
from seqgan.sampling.decoding import Decoding

TEMPERATURES = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2)


@dataclass(frozen=True)
class Curve:
    """One generator, sampled in several ways of one sort, or the one point of what is not sampled."""

    label: str
    """Of the generator: one that is sampled in several sorts of ways has as many curves of that name."""
    measurements: Sequence[Measurement]

    @property
    def knob(self) -> str:
        """What is varied: temperature, top_k or top_p."""
        decoding = self.measurements[0].decoding
        return next((name for name in ("top_k", "top_p") if getattr(decoding, name)), "temperature")

    @property
    def is_point(self) -> bool:
        """Whether nothing is varied."""
        return len(self.measurements) == 1


def decodings(
    temperatures: Sequence[float] = TEMPERATURES, top_k: Sequence[int] = (), top_p: Sequence[float] = ()
) -> list[Decoding]:
    """Ways to sample, one knob at a time; each list ascending, without repetition."""
    return [
        *(Decoding(temperature=value) for value in sorted(set(temperatures))),
        *(Decoding(top_k=value) for value in sorted(set(top_k))),
        *(Decoding(top_p=value) for value in sorted(set(top_p))),
    ]


def sweep(
    experiments: Sequence[Experiment],
    ways: Sequence[Decoding],
    *,
    checkpoints: Sequence[str] = (),
    baselines: bool = True,
    quiet: bool = False,
) -> list[Curve]:
    """A curve for every generator and knob; with ``baselines`` also n-grams, real text and the oracle.

    By default the generators are each run's MLE model and the furthest that it has. What several runs
    share, such as a pre-trained model, is measured and drawn once. Everything measured
    is kept in its run, so that a sweep that was interrupted goes on where it stopped.

    Raises:
        ValueError: The runs are of different corpora, one has no generator, a checkpoint is missing, or
            there is no way to sample.
    """
    refuse_other_corpora(experiments)
    if not ways:
        raise ValueError("--temperatures, --top-k, --top-p: give at least one value of one of them")
    several = len(experiments) > 1
    labels = {id(e): label if several else "" for label, e in label_runs(experiments).items()}
    different: dict[str, tuple[Experiment, str]] = {}
    for e in experiments:
        for name in checkpoints or find_compared(e):
            different.setdefault(fingerprint(e, name), (e, name))
    wanted = list(different.values())
    if baselines:
        first = experiments[0]
        wanted += [(first, name) for name in ("ngram", REAL_TEXT, *(["oracle"] if first.oracle else []))]
    is_fixed = {"oracle", REAL_TEXT}  # what is a single point
    total = sum(1 if name in is_fixed else len(ways) for _, name in wanted)
    curves: list[Curve] = []
    with tqdm(total=total, desc="sweep", unit=" points", disable=quiet or None, leave=False) as bar:
        for experiment, name in wanted:
            label = title(experiment, name, labels[id(experiment)])
            own = [Decoding()] if name in is_fixed else ways
            found = []
            for way in own:
                bar.set_postfix_str(f"{label}, {way}")
                found.append(measure(experiment, name, way))
                bar.update()
            curves += _by_knob(label, found)
    return curves


def label_runs(experiments: Sequence[Experiment]) -> dict[str, Experiment]:
    """The runs by the last part of their paths, or by the whole where that is not enough."""
    paths = [experiment.run.path for experiment in experiments if experiment.run is not None]
    names = [path.resolve().name for path in paths]
    labels = names if len(set(names)) == len(names) else [str(path) for path in paths]
    return dict(zip(labels, experiments, strict=True))


def title(experiment: Experiment, name: str, run: str = "") -> str:
    """What people call a generator; before one that belongs to a run stands the ``run``'s label."""
    of_all_runs = {
        "ngram": f"{2 if experiment.oracle else 5}-grams",
        REAL_TEXT: "training text",
        "oracle": "the oracle itself",
    }
    if name in of_all_runs:
        return of_all_runs[name]
    own = {"mle-best": "MLE", "adversarial-last": "adversarial"}.get(name, name)
    return f"{run}: {own}" if run else own


def refuse_other_corpora(experiments: Sequence[Experiment]) -> None:
    """Runs are comparable on one corpus only.

    Raises:
        ValueError: There are no runs, or two are of different corpora; names them.
    """
    if not experiments:
        raise ValueError("--run: name at least one run folder")
    first = experiments[0]
    for other in experiments[1:]:
        if other.corpus.digest != first.corpus.digest:
            assert first.run is not None and other.run is not None
            raise ValueError(
                f"--run: {other.run.path} and {first.run.path} have different corpora; "
                "only runs of one corpus can be compared"
            )


def find_compared(experiment: Experiment) -> list[str]:
    """The MLE model of a run, and the furthest generator that it has.

    Raises:
        ValueError: There is none yet.
    """
    assert experiment.run is not None
    there = experiment.run.find_generators()
    furthest = next((name for name in FURTHEST if name in there), None)
    if furthest is None:
        raise ValueError(f"--run: {experiment.run.path} has no generator yet; pretrain first")
    return list(dict.fromkeys([*(["mle-best"] if "mle-best" in there else []), furthest]))


def fingerprint(experiment: Experiment, name: str) -> str:
    """What decides every measurement: the file of the weights, and how runs are evaluated.

    What is made of the corpus goes by its name besides: n-grams and real text come from one file.
    """
    assert experiment.run is not None
    path, config = experiment.run.generator(name), experiment.settings
    weights = hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else str(path)
    own_name = name if name in OF_THE_CORPUS else ""
    return f"{own_name} {weights} {config.seed} {config.evaluation}"


def _by_knob(label: str, measurements: Sequence[Measurement]) -> list[Curve]:
    """One curve for each knob that was turned."""
    knobs: dict[str, list[Measurement]] = {}
    for measurement in measurements:
        knobs.setdefault(Curve(label, [measurement]).knob, []).append(measurement)
    return [Curve(label, found) for found in knobs.values()]
