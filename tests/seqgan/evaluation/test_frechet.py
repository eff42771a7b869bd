import importlib.metadata
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from seqgan.evaluation.frechet import features_of, frechet_distance, load_features, mauve, score_features

RNG = np.random.default_rng(0)


def with_moments(mean, covariance, number=50):
    """Vectors whose mean and covariance are exactly these."""
    dimension = len(mean)
    noise = RNG.standard_normal((number, dimension))
    noise -= noise.mean(0)
    whitened = noise @ np.linalg.inv(np.linalg.cholesky(np.cov(noise.T).reshape(dimension, dimension)).T)
    return whitened @ np.linalg.cholesky(np.array(covariance)).T + np.array(mean)


def test_gaussians_along_the_axes_have_the_closed_form():
    """Covariances that commute: ‖μ₁ - μ₂‖² + sum of (σ₁ - σ₂)²."""
    first = with_moments([1.0, 2.0, 0.0], np.diag([4.0, 1.0, 9.0]))
    second = with_moments([0.0, 2.0, 2.0], np.diag([1.0, 1.0, 16.0]), number=80)
    expected = (1 + 0 + 4) + (1**2 + 0 + 1**2)
    assert frechet_distance(first, second) == pytest.approx(expected)
    assert frechet_distance(second, first) == pytest.approx(expected)


def test_any_gaussians_agree_with_the_root_by_eigenvalues():
    first, second = (RNG.standard_normal((40, 6)) @ RNG.standard_normal((6, 6)) + i for i in range(2))
    covariances = [np.cov(features.T) for features in (first, second)]
    root = np.sqrt(np.linalg.eigvals(covariances[0] @ covariances[1]).real.clip(min=0)).sum()
    expected = np.square(first.mean(0) - second.mean(0)).sum() + sum(map(np.trace, covariances)) - 2 * root
    assert frechet_distance(first, second) == pytest.approx(expected)


def test_rotating_both_changes_nothing_and_equal_sets_are_at_distance_zero():
    first, second = RNG.standard_normal((30, 4)), RNG.standard_normal((20, 4)) + 1
    rotation, _ = np.linalg.qr(RNG.standard_normal((4, 4)))
    assert frechet_distance(first @ rotation, second @ rotation) == pytest.approx(
        frechet_distance(first, second)
    )
    assert frechet_distance(first, first[::-1]) == pytest.approx(0, abs=1e-9)


def test_fewer_vectors_than_dimensions():
    """Two points, at ±1 on different axes: the covariances 2·e₁e₁ᵀ and 2·e₂e₂ᵀ have nothing in common."""
    axes = np.eye(5)
    first, second = np.stack([axes[0], -axes[0]]), np.stack([axes[1], -axes[1]])
    assert frechet_distance(first, second) == pytest.approx(4)
    assert frechet_distance(first[:1], second[:1]) == pytest.approx(2)  # single points, no covariance


def test_half_precision_features_are_computed_in_double():
    first, second = RNG.standard_normal((30, 4)), RNG.standard_normal((30, 4))
    halves = [features.astype(np.float16) for features in (first, second)]
    expected = frechet_distance(*(features.astype(np.float64) for features in halves))
    assert frechet_distance(*halves) == expected


@pytest.mark.parametrize("distance", [frechet_distance, mauve])
def test_wrong_features_are_named(distance):
    good = np.ones((3, 2))
    for first, second, message in (
        (good, np.ones((3, 4)), "2 and 4 dimensions"),
        (np.ones((0, 2)), good, r"first features: \(0, 2\)"),
        (good, np.full((3, 2), np.nan), "second features: .* finite"),
    ):
        with pytest.raises(ValueError, match=message):
            distance(first, second)


def test_files_of_features(tmp_path):
    path = tmp_path / "features.npy"
    np.save(path, np.arange(6.0).reshape(3, 2))
    assert load_features(path).shape == (3, 2)
    for content in (np.arange(3.0), np.array([[1, 2]]), np.array([[np.inf]]), np.array([{}], dtype=object)):
        np.save(path, content)
        with pytest.raises(ValueError, match=r"features\.npy"):
            load_features(path)
    path.write_bytes(b"\x93NUMPY")
    for bad in (path, tmp_path / "absent.npy", tmp_path):
        with pytest.raises(ValueError, match="not a readable .npy file"):
            load_features(bad)
    np.savez(tmp_path / "many.npz", a=np.ones((2, 2)))
    with pytest.raises(ValueError, match="not a readable .npy file"):
        load_features(tmp_path / "many.npz")


@pytest.mark.slow
def test_a_damaged_file_of_features_is_named_in_one_line(tmp_path):
    """Every bit of the header, and headers that numpy reads as Python and falls over."""
    path = tmp_path / "features.npy"
    np.save(path, RNG.standard_normal((4, 3)))
    good = path.read_bytes()
    flipped = [
        good[:i] + bytes([good[i] ^ (1 << bit)]) + good[i + 1 :]
        for i in range(0, 128, 3)
        for bit in (0, 4, 7)
    ]
    shape = "{'descr': '<f8', 'fortran_order': False, 'shape': (%s, 3), }"
    headers = [shape % 10**12, shape % 10**24, shape % -1, "(" * 200, "-" * 3000 + "1"]
    made = [b"\x93NUMPY\x01\x00" + len(h).to_bytes(2, "little") + h.encode() + good[128:] for h in headers]
    refused = 0
    for content in [*flipped, *made, *(good[:n] for n in range(0, len(good), 5))]:
        path.write_bytes(content)
        try:
            assert load_features(path).shape[1] > 0  # a flipped bit may be one of a space
        except ValueError as error:
            assert str(path) in str(error) and "\n" not in str(error)
            refused += 1
    assert refused > 100


def test_mauve_is_asked_of_its_package_or_said_to_be_missing(monkeypatch):
    first, second = np.ones((3, 2)), np.zeros((4, 2))
    monkeypatch.setitem(sys.modules, "mauve", None)
    with pytest.raises(ValueError, match="pip install mauve-text"):
        mauve(first, second)
    asked = {}
    package = SimpleNamespace(
        compute_mauve=lambda **options: asked.update(options) or SimpleNamespace(mauve=0.25)
    )
    monkeypatch.setitem(sys.modules, "mauve", package)
    assert mauve(first, second, seed=7) == 0.25
    assert asked["p_features"] is first
    assert asked["q_features"] is second
    assert asked["seed"] == 7


def test_features_by_a_callable():
    """Of all sentences at once, in their order; lists and tensors will do."""
    sentences = ["a cat", "a", "three words here"]
    made = [[float(len(s)), float(s.count(" "))] for s in sentences]
    for encoder in (np.array, list, torch.tensor):
        features = features_of(
            sentences, lambda given, encoder=encoder: encoder([made[sentences.index(s)] for s in given])
        )
        assert features.tolist() == made
    score = score_features(features, features[:2], names=("lengths of a", "lengths|of b"))
    assert score.values == {"frechet_distance": frechet_distance(features, features[:2])}
    about = "hypothesis_features:lengths of a|reference_features:lengths_of b|dimensions:2|"
    assert str(score.signature).startswith(f"hypotheses:3|references:2|{about}")
    assert score.signature.parse(str(score.signature)).dimensions == 2


@pytest.mark.parametrize(
    ("sentences", "given", "message"),
    [
        ([], np.ones((0, 2)), "there are no sentences"),
        (["a", "b"], np.ones((1, 2)), r"an array \(1, 2\) for 2 sentences"),
        (["a", "b"], np.ones(2), r"an array \(2,\) for 2 sentences"),
        (["a", "b"], np.ones((2, 0)), r"of the encoder: \(2, 0\)"),
        (["a", "b"], np.array([[1.0], [np.inf]]), "of finite numbers only"),
        (["a", "b"], np.ones((2, 2), int), "the encoder gives int64"),
        (["a", "b"], ["x", "y"], "the encoder gives <U1"),
    ],
)
def test_a_callable_that_gives_something_else_is_named(sentences, given, message):
    with pytest.raises(ValueError, match=f"features.*{message}"):
        features_of(sentences, lambda _: given)


def test_mauve_by_its_package():
    """Equal sets reach nearly 1, far ones nearly 0; the same seed gives the same value."""
    pytest.importorskip("mauve", reason="the optional package mauve-text is not installed")
    near, far = RNG.standard_normal((200, 4)), RNG.standard_normal((150, 4)) + 100
    score = score_features(near, near, names=("a", "b"), with_mauve=True)
    assert score.values["mauve"] > 0.95
    assert mauve(near, far) < 0.05
    assert mauve(near, far + near[:150], seed=3) == mauve(near, far + near[:150], seed=3)
    assert f"mauve:{importlib.metadata.version('mauve-text')}|seed:0|" in str(score.signature)
