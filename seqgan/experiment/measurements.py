"""Measurements of the generators of a run, each made once and kept in the run.

A measurement is a JSON file of values, standard errors, the signature and some sentences, and beside it an
``.npz`` file of sentence values. The JSON file holds the fingerprint of what was measured and the SHA-256
sums of both: one that is damaged, or belongs to other weights, is made again.
"""

import dataclasses
import hashlib
import io
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import seqgan
from seqgan.evaluation.evaluator import EvaluationResult
from seqgan.evaluation.mixture import MixtureGenerator, fit_weight
from seqgan.evaluation.signature import Score, Signature
from seqgan.experiment.experiment import Experiment
from seqgan.experiment.run_folder import OF_THE_CORPUS, REAL_TEXT
from seqgan.models.generator import Generator
from seqgan.runtime.files import write_atomically
from seqgan.sampling.decoding import Decoding

logger = logging.getLogger("seqgan")
ERROR = "_error"
MIXED = "+ngram"  # behind a generator's name: mixed with n-grams of the training text
SHARE = "ngram_share"  # of the n-grams in such a mixture; stands among its values


@dataclass(frozen=True)
class Measurement:
    """The score of one generator of a run, sampled in one way."""

    run: Path
    generator: str
    """Its name in the run; ``training-text`` for real text in the place of samples."""
    decoding: Decoding
    score: Score
    sentences: Sequence[str]
    prompts: Sequence[str] = ()
    """What the sentences complete, where there are prompts."""

    def as_json(self) -> dict[str, Any]:
        """Return everything but the run and the sentence values."""
        about = {"generator": self.generator, "decoding": dataclasses.asdict(self.decoding)}
        texts = {"sentences": list(self.sentences)}
        texts |= {"prompts": list(self.prompts)} if self.prompts else {}
        return {**about, **self.score.as_json(), **texts, "labels": dict(self.score.labels)}


def measure(
    experiment: Experiment,
    name: str,
    decoding: Decoding | None = None,
    *,
    num_samples: int | None = None,
    again: bool = False,
) -> Measurement:
    """Measure a generator of a run on its test text, or read what was measured of the same weights before.

    Args:
        experiment: An opened run.
        name: A generator of the run, the baseline ``ngram``, or ``training-text``. ``mle-best+ngram`` is a
            generator mixed with the baseline, in the share under which the validation text is likeliest.
        decoding: How to sample; by default as the run's settings say.
        num_samples: Sentences to sample; by default as the run's settings say. Of the training text, the
            first so many sentences.
        again: Measure in any case.

    Raises:
        ValueError: There is no such generator.
    """
    assert experiment.run is not None
    plain, number = experiment.decoding(), experiment.settings.evaluation.num_samples
    decoding, num_samples = decoding or plain, num_samples or number
    parts = [name, *([str(decoding)] if decoding != plain else [])]
    parts += [f"samples={num_samples}"] if num_samples != number else []
    path = experiment.run.evaluation(",".join(parts))
    found = None if again else read_measurement(path, fingerprint(experiment, name, num_samples))
    if found is not None:
        return dataclasses.replace(found, run=experiment.run.path)
    mark, result = _evaluate(experiment, name, decoding, num_samples)
    measurement = Measurement(
        experiment.run.path, name, decoding, result.score, result.sentences, result.prompts
    )
    try:
        write_measurement(path, measurement, mark)
    except ValueError as error:  # a run that may only be read can be measured too
        logger.warning("%s", error)
    return measurement


def fingerprint(experiment: Experiment, name: str, num_samples: int | None = None) -> str:
    """Return the SHA-256 sum of all that decides a measurement but the way of sampling.

    That is the weights, the corpus, the evaluation's settings and seed, and the version of the program. Equal
    generators of several runs have equal fingerprints, whatever their names.
    """
    assert experiment.run is not None
    base = name.removesuffix(MIXED)
    settings, path = experiment.settings.evaluation, experiment.run.generator(base)
    settings = dataclasses.replace(settings, num_samples=num_samples or settings.num_samples)
    own_name = name if name in OF_THE_CORPUS else name[len(base) :]  # of several that come from one file
    weights = hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else str(path)
    parts = (own_name, weights, experiment.corpus.digest, experiment.settings.seed, settings)
    return _sum(f"{seqgan.__version__} {parts}".encode())


def _evaluate(
    experiment: Experiment, name: str, decoding: Decoding, num_samples: int
) -> tuple[str, EvaluationResult]:
    """Return the fingerprint of what was measured, and the result."""
    evaluator = experiment.test_evaluator
    if name == REAL_TEXT:
        text = experiment.corpus.train
        rows = np.arange(min(num_samples, len(text)))
        return fingerprint(experiment, name, num_samples), evaluator.score_text(text.select(rows))
    mark, generator = _load(experiment, name, num_samples)
    if not name.endswith(MIXED):
        return mark, evaluator(generator, decoding, num_samples=num_samples)
    share = fit_weight(generator, experiment.ngram, experiment.materials.validation)
    mixture = MixtureGenerator(generator, experiment.ngram, share)
    result = evaluator(mixture, decoding, num_samples=num_samples)
    score = dataclasses.replace(result.score, values={**result.score.values, SHARE: share})
    return mark, dataclasses.replace(result, score=score)


def _load(experiment: Experiment, name: str, num_samples: int) -> tuple[str, Generator]:
    """Return a generator and its fingerprint; a training run may replace the file while it is read."""
    while True:
        mark = fingerprint(experiment, name, num_samples)
        generator = experiment.load_generator(name.removesuffix(MIXED))
        if mark == fingerprint(experiment, name, num_samples):
            return mark, generator


def write_measurement(path: Path, measurement: Measurement, mark: str) -> None:
    """Write both files, the JSON one last; ``mark`` is the fingerprint of what was measured.

    Raises:
        ValueError: They cannot be written; names the file.
    """
    sentence_values = measurement.score.sentence_values
    values: dict[str, Any] = {name: array.astype(np.float32) for name, array in sentence_values.items()}
    archive = io.BytesIO()
    np.savez(archive, **values)
    content = {
        **measurement.as_json(),
        "fingerprint": mark,
        "sentence_values": _sum(archive.getvalue()),
    }
    text = json.dumps({**content, "checksum": _sum(json.dumps(content).encode())}, indent=1) + "\n"
    write_atomically(_beside(path), lambda file: file.write(archive.getvalue()))
    write_atomically(path, lambda file: file.write(text.encode()))


def read_measurement(path: Path, mark: str) -> Measurement | None:
    """Return what :func:`write_measurement` wrote for this fingerprint, without the run; else None.

    A file that is damaged in any way counts as one that is not there.
    """
    try:
        content, archive = json.loads(path.read_bytes()), _beside(path).read_bytes()
        if content.pop("checksum") != _sum(json.dumps(content).encode()):
            return None
        if (content.pop("sentence_values"), content.pop("fingerprint")) != (_sum(archive), mark):
            return None
        with np.load(io.BytesIO(archive), allow_pickle=False) as arrays:
            sentence_values = {key: arrays[key].astype(np.float64) for key in arrays}
        return _from_json(content, sentence_values)
    except Exception:  # whatever is wrong with a file: it is only a copy, and is made again
        return None


def _from_json(content: dict[str, Any], sentence_values: dict[str, np.ndarray]) -> Measurement:
    generator, decoding, sentences, signature, labels = (
        content.pop(key) for key in ("generator", "decoding", "sentences", "signature", "labels")
    )
    prompts = content.pop("prompts", [])
    errors = {key.removesuffix(ERROR): content[key] for key in content if key.endswith(ERROR)}
    values = {key: value for key, value in content.items() if not key.endswith(ERROR)}
    score = Score(values, Signature.parse(signature), errors, sentence_values, labels)
    return Measurement(Path(), generator, Decoding(**decoding), score, sentences, prompts)


def _sum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _beside(path: Path) -> Path:
    return path.with_name(f"{path.name.removesuffix('.json')}.npz")
