"""Distances between sets of feature vectors that the user gives: Fréchet, and MAUVE where it is installed.

Which features, of which encoder, decides what they mean: the signature of a :func:`score_features` names it.
"""

import importlib
import importlib.metadata
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from seqgan.evaluation.signature import Score, Signature
from seqgan.runtime.files import first_line


def load_features(path: Path) -> Float[np.ndarray, "N D"]:
    """Load feature vectors, one a row, from an ``.npy`` file.

    Raises:
        ValueError: The file cannot be read, or holds something other than a matrix of finite numbers.
    """
    try:
        with path.open("rb") as stream:
            features = np.lib.format.read_array(stream, allow_pickle=False)
    except Exception as error:  # numpy parses the header as Python: a damaged one may raise anything
        reason = f"{type(error).__name__}: {first_line(error)}"
        raise ValueError(f"{path}: not a readable .npy file of numbers ({reason})") from error
    if not np.issubdtype(features.dtype, np.floating):
        raise ValueError(f"{path}: the array is of {features.dtype}; features must be floating-point numbers")
    if features.ndim != 2:
        raise ValueError(f"{path}: the array is {features.shape}; it must be a matrix, one vector a row")
    _check(features, str(path))
    return features


def features_of(
    sentences: Sequence[str], encoder: Callable[[Sequence[str]], Float[np.ndarray, "N D"]]
) -> Float[np.ndarray, "N D"]:
    """Encode all ``sentences`` as feature vectors, one a row.

    ``encoder`` may give anything that numpy takes for an array, such as a list or a tensor on the CPU.

    Raises:
        ValueError: There are no sentences, or it gives something other than a matrix of finite numbers
            with one row for each.
    """
    if not sentences:
        raise ValueError("features: there are no sentences to make any of")
    features = np.asarray(encoder(sentences))
    if not np.issubdtype(features.dtype, np.floating):
        raise ValueError(f"features: the encoder gives {features.dtype}; they must be floating-point numbers")
    if features.ndim != 2 or len(features) != len(sentences):
        raise ValueError(
            f"features: the encoder gives an array {features.shape} for {len(sentences)} sentences; "
            "it must be a matrix, one row for each"
        )
    _check(features, "features of the encoder")
    return features


def score_features(
    hypotheses: Float[np.ndarray, "N D1"],
    references: Float[np.ndarray, "M D2"],
    *,
    names: tuple[str, str],
    with_mauve: bool = False,
    seed: int = 0,
) -> Score:
    """Measure the Fréchet distance, and MAUVE if asked for, signed with the ``names`` of both sets.

    Raises:
        ValueError: As :func:`frechet_distance` and :func:`mauve`.
    """
    values = {"frechet_distance": frechet_distance(hypotheses, references)}
    if with_mauve:
        values["mauve"] = mauve(hypotheses, references, seed=seed)
    signature = Signature(
        hypotheses=len(hypotheses),
        references=len(references),
        hypothesis_features=names[0],
        reference_features=names[1],
        dimensions=hypotheses.shape[1],
        mauve=importlib.metadata.version("mauve-text") if with_mauve else None,
        seed=seed if with_mauve else None,
    )
    return Score(values, signature)


def frechet_distance(first: Float[np.ndarray, "N D1"], second: Float[np.ndarray, "M D2"]) -> float:
    """Return the squared Fréchet distance of two Gaussians (Heusel et al. 2017).

    They have the features' means and covariances, and their distance is::

        ‖μ₁ - μ₂‖² + tr(Σ₁) + tr(Σ₂) - 2 tr((Σ₁ Σ₂)^½)

    The trace of the root is the sum of the singular values of R₁ R₂ᵀ, where Σᵢ = Rᵢᵀ Rᵢ: there is no
    root of a matrix to take, and fewer vectors than dimensions are no trouble. Covariances
    divide by N - 1; those of one vector are 0. With few vectors the distance is biased upwards:
    compare sets of equal size.

    Raises:
        ValueError: The dimensions differ, a set is empty, or a value is not finite.
    """
    _check_pair(first, second)
    means, factors = zip(
        *(_gaussian(features.astype(np.float64)) for features in (first, second)), strict=True
    )
    cross = np.linalg.svd(factors[0] @ factors[1].T, compute_uv=False).sum()
    traces = sum(float(np.square(factor).sum()) for factor in factors)
    return max(float(np.square(means[0] - means[1]).sum() + traces - 2 * cross), 0.0)


def mauve(first: Float[np.ndarray, "N D1"], second: Float[np.ndarray, "M D2"], *, seed: int = 0) -> float:
    """Return MAUVE of two sets of features, from 0 to 1, 1 for equal ones (Pillutla et al. 2021).

    The authors' package ``mauve-text`` computes it by its own defaults; it clusters, so ``seed`` matters.

    Raises:
        ValueError: The package is not installed; or as :func:`frechet_distance`.
    """
    _check_pair(first, second)
    try:
        package = importlib.import_module("mauve")
    except ImportError as error:
        raise ValueError(f"MAUVE needs the package mauve-text: pip install mauve-text ({error})") from error
    return float(package.compute_mauve(p_features=first, q_features=second, seed=seed, verbose=False).mauve)


def _gaussian(
    features: Float[np.ndarray, "N D"],
) -> tuple[Float[np.ndarray, "D"], Float[np.ndarray, "_ D"]]:
    """Return the mean, and a factor R with Rᵀ R = the covariance, of at most as many rows as dimensions."""
    mean = features.mean(0)
    factor = np.linalg.qr(features - mean, mode="r")
    return mean, factor / np.sqrt(max(len(features) - 1, 1))


def _check_pair(first: Float[np.ndarray, "N D1"], second: Float[np.ndarray, "M D2"]) -> None:
    for features, name in ((first, "first"), (second, "second")):
        _check(features, f"{name} features")
    if first.shape[1] != second.shape[1]:
        raise ValueError(f"features: {first.shape[1]} and {second.shape[1]} dimensions; they must be equal")


def _check(features: Float[np.ndarray, "N D"], name: str) -> None:
    if not features.size or not np.isfinite(features).all():
        raise ValueError(
            f"{name}: {features.shape}; there must be at least one vector, of finite numbers only"
        )
