"""Runs of one corpus, whose generators are measured alike."""

from collections.abc import Sequence
from pathlib import Path

from seqgan.config.toml import flatten
from seqgan.experiment.experiment import Experiment, open_run
from seqgan.experiment.generator_files import FURTHEST
from seqgan.experiment.measurements import Measurement, fingerprint, measure
from seqgan.experiment.run_folder import REAL_TEXT, RunFolder
from seqgan.experiment.settings import CHANGEABLE
from seqgan.sampling.decoding import Decoding

BASELINES = ("ngram", REAL_TEXT, "oracle")
Name = tuple[str, str]  # of a run and of one of its generators


class Runs:
    """Runs of one corpus by their labels; every generator is measured with samples of one number.

    That number is the least among the settings of the runs, since most metrics of text depend on it. A
    label is the last part of the run's path, or the whole path where that is not enough.

    Raises:
        ValueError: There are no runs, or two are of different corpora; names them.
    """

    def __init__(self, experiments: Sequence[Experiment]) -> None:
        if not experiments:
            raise ValueError("--run: name at least one run folder")
        self.first = experiments[0]
        for other in experiments[1:]:
            if other.corpus.digest != self.first.corpus.digest:
                raise ValueError(
                    f"--run: {path_of(other)} and {path_of(self.first)} have different corpora; "
                    "only runs of one corpus can be compared"
                )
        paths = [path_of(experiment) for experiment in experiments]
        names = [path.resolve().name for path in paths]
        labels = names if len(set(names)) == len(names) else map(str, paths)
        self.experiments = dict(zip(labels, experiments, strict=True))
        self.folders = {label: RunFolder(path_of(e)) for label, e in self.experiments.items()}
        self.num_samples = min(e.settings.evaluation.num_samples for e in experiments)

    @classmethod
    def open(cls: type["Runs"], paths: Sequence[Path], *, device: str | None = None) -> "Runs":
        """Open run folders, each once.

        Raises:
            ValueError: One is no run, or damaged, or of another corpus.
        """
        return cls([open_run(path, device=device) for path in dict.fromkeys(paths)])

    def generators(self, checkpoints: Sequence[str] = (), *, with_best: bool = False) -> list[Name]:
        """Return each run's generators: those checkpoints, or its MLE model and the furthest that it has.

        ``with_best`` adds, beside the last adversarial one, the best by its criterion.

        Raises:
            ValueError: A run has no generator, or not that checkpoint.
        """
        names = [
            (run, name)
            for run, experiment in self.experiments.items()
            for name in checkpoints or find_compared(experiment, with_best=with_best)
        ]
        for run, name in names:
            self.experiments[run].load_generator(name)  # all are there, before the first is measured
        return names

    def baselines(self) -> list[Name]:
        """Return what needs no training: n-grams, the training text and, on its task, the oracle."""
        names = ["ngram", REAL_TEXT, *(["oracle"] if self.first.oracle else [])]
        return [(next(iter(self.experiments)), name) for name in names]

    def by_seed(self) -> list[dict[int, str]]:
        """Return groups of runs that differ in their seed only: labels by seed, of equal runs the first."""
        groups: dict[str, dict[int, str]] = {}
        for label, run in self.folders.items():
            settings = flatten(run.read_settings())
            seed = settings.pop("seed")
            kept = {name: value for name, value in settings.items() if not name.startswith(CHANGEABLE)}
            groups.setdefault(f"{run.read_package()} {kept}", {}).setdefault(seed, label)
        return list(groups.values())

    def fingerprint(self, name: Name) -> str:
        """Return what decides all measurements of a generator; equal for generators that runs share."""
        return fingerprint(self.experiments[name[0]], name[1], self.num_samples)

    def measure(self, name: Name, decoding: Decoding | None = None) -> Measurement:
        """Measure one generator, or read what was measured of it before."""
        return measure(self.experiments[name[0]], name[1], decoding, num_samples=self.num_samples)

    def title(self, name: Name, *, with_run: bool | None = None) -> str:
        """Return what people call a generator, behind the run's label; by default where there are several."""
        run, own = name
        first = next(iter(self.experiments.values()))
        of_all_runs = {
            "ngram": f"{2 if first.oracle else 5}-grams",
            REAL_TEXT: "training text",
            "oracle": "the oracle itself",
        }
        if own in of_all_runs:
            return of_all_runs[own]
        title = {"mle-best": "MLE", "adversarial-last": "adversarial"}.get(own, own)
        with_run = len(self.experiments) > 1 if with_run is None else with_run
        return f"{run}: {title}" if with_run else title


def path_of(experiment: Experiment) -> Path:
    """Return the folder of a run."""
    assert experiment.run is not None
    return experiment.run.path


def find_compared(experiment: Experiment, *, with_best: bool = False) -> list[str]:
    """Return the MLE model of a run, the furthest generator that it has, and the best one beside the last.

    Raises:
        ValueError: There is none yet.
    """
    assert experiment.run is not None
    there = experiment.run.find_generators()
    furthest = next((name for name in FURTHEST if name in there), None)
    if furthest is None:
        raise ValueError(f"--run: {experiment.run.path} has no generator yet; pretrain first")
    names = ["mle-best", furthest]
    names += ["adversarial-best"] if with_best and furthest == "adversarial-last" else []
    return [name for name in dict.fromkeys(names) if name in there]
