"""What the generators of a run reach, each sampled in one way: measured once, and kept in the run.

A measurement is a JSON file with the values, their standard errors, the signature and some
sentences, and beside it an ``.npz`` file with what the values that are means are the means of.
"""

import dataclasses
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

import seqgan
from seqgan.evaluation.evaluator import EvaluationResult
from seqgan.evaluation.signature import Score, Signature
from seqgan.experiment.experiment import Experiment
from seqgan.experiment.run_folder import REAL_TEXT, RunFolder
from seqgan.runtime.files import write_atomically
from seqgan.sampling.decoding import Decoding

logger = logging.getLogger("seqgan")
ERROR = "_error"


@dataclass(frozen=True)
class Measurement:
    """What a generator of a run reached, sampled in one way."""

    run: Path
    generator: str
    """Its name in the run; ``training-text`` for real text in the place of samples."""
    decoding: Decoding
    score: Score
    sentences: Sequence[str]

    def as_json(self) -> dict[str, Any]:
        """All but the run and the values of single sentences."""
        about = {"generator": self.generator, "decoding": dataclasses.asdict(self.decoding)}
        return {**about, **self.score.as_json(), "sentences": list(self.sentences)}


def measure(
    experiment: Experiment, name: str, decoding: Decoding | None = None, *, again: bool = False
) -> Measurement:
    """Measure a generator of a run on its test text; what was measured of the same weights is read.

    ``name`` is that of a generator, of the baseline ``ngram``, or ``training-text``. By default
    ``decoding`` is that of the run's settings; ``again`` measures in any case.

    Raises:
        ValueError: There is no such generator.
    """
    assert experiment.run is not None
    plain = experiment.decoding()
    decoding = decoding or plain
    path = experiment.run.evaluation(name if decoding == plain else f"{name},{decoding}")
    found = None if again else load(path, experiment.run, name)
    if found is not None:
        return found
    result = _evaluate(experiment, name, decoding)
    measurement = Measurement(experiment.run.path, name, decoding, result.score, result.sentences)
    try:
        save(path, measurement)
    except ValueError as error:  # a run that may only be read can be measured too
        logger.warning("%s", error)
    return measurement


def _evaluate(experiment: Experiment, name: str, decoding: Decoding) -> EvaluationResult:
    if name != REAL_TEXT:
        return experiment.test_evaluator(experiment.load_generator(name), decoding)
    text = experiment.corpus.train
    most = min(experiment.settings.evaluation.num_samples, len(text))
    return experiment.test_evaluator.score_text(text.select(np.arange(most)))


def save(path: Path, measurement: Measurement) -> None:
    """Write both files, the JSON one last."""
    sentence_values = measurement.score.sentence_values
    values: dict[str, Any] = {name: array.astype(np.float32) for name, array in sentence_values.items()}
    text = json.dumps(measurement.as_json(), indent=1) + "\n"
    write_atomically(_beside(path), lambda file: np.savez(file, **values))
    write_atomically(path, lambda file: file.write(text.encode()))


def load(path: Path, run: RunFolder, name: str) -> Measurement | None:
    """What :func:`save` wrote of the present weights; None where there is nothing whole, or only older."""
    weights = run.generator(name)
    try:
        if path.stat().st_mtime_ns <= weights.stat().st_mtime_ns:
            return None
        content = json.loads(path.read_text(encoding="utf-8"))
        with np.load(_beside(path), allow_pickle=False) as arrays:
            sentence_values = {key: arrays[key].astype(np.float64) for key in arrays}
        about = {key: content.pop(key) for key in ("generator", "decoding", "sentences", "signature")}
        signature = Signature.parse(about["signature"])
        if signature.version != seqgan.__version__:
            return None
        errors = {key.removesuffix(ERROR): content[key] for key in content if key.endswith(ERROR)}
        values = {key: value for key, value in content.items() if not key.endswith(ERROR)}
        score = Score(values, signature, errors, sentence_values)
        decoding = Decoding(**about["decoding"])
        return Measurement(run.path, about["generator"], decoding, score, about["sentences"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, BadZipFile):
        return None


def _beside(path: Path) -> Path:
    return path.with_name(f"{path.name.removesuffix('.json')}.npz")
