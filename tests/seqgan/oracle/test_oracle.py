import math
import random

import numpy as np
import pytest
import torch

from seqgan.oracle.model import load_oracle, random_oracle, restore_oracle
from seqgan.sampling.sample import sample
from tests.shared_data import shared_data
from tests.tiny_models import rng, whole


def write_oracle(path, vocabulary_size=7, embedding_size=4, hidden_size=5, **changes):
    generator = np.random.default_rng(0)
    arrays = {
        "embedding": (vocabulary_size, embedding_size),
        "W_out": (hidden_size, vocabulary_size),
        "b_out": (vocabulary_size,),
    }
    for gate in "ifoc":
        arrays[f"W_{gate}"] = (embedding_size, hidden_size)
        arrays[f"U_{gate}"] = (hidden_size, hidden_size)
        arrays[f"b_{gate}"] = (hidden_size,)
    arrays = {name: generator.normal(size=shape).astype(np.float32) for name, shape in arrays.items()}
    arrays = {name: array for name, array in (arrays | changes).items() if array is not None}
    np.savez(path, **arrays)
    return arrays


def no_words(size):
    """An oracle's arrays for a vocabulary of none, or of the start token alone."""
    shapes = {"embedding": (size, 4), "W_out": (5, size), "b_out": (size,)}
    return {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}


def reference_logits(arrays, tokens):
    """The oracle's equations, one number array at a time, in float64."""
    a = {name: array.astype(np.float64) for name, array in arrays.items()}
    sigmoid = lambda x: 1 / (1 + np.exp(-x))  # noqa: E731
    h, c, logits = np.zeros(len(a["W_out"])), np.zeros(len(a["W_out"])), []
    for token in [0, *tokens[:-1]]:
        x = a["embedding"][token]
        i, f, o, candidate = (x @ a[f"W_{g}"] + h @ a[f"U_{g}"] + a[f"b_{g}"] for g in "ifoc")
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(candidate)
        h = sigmoid(o) * np.tanh(c)
        logits.append(h @ a["W_out"] + a["b_out"])
    return np.stack(logits)


def test_a_file_is_read_by_its_equations(tmp_path):
    arrays = write_oracle(tmp_path / "oracle.npz")
    oracle = load_oracle(tmp_path / "oracle.npz")
    tokens = torch.tensor([[3, 0, 6, 2, 2, 5]])
    expected = reference_logits(arrays, tokens[0].tolist())
    np.testing.assert_allclose(oracle(whole(tokens))[0].numpy(), expected, atol=1e-5)
    assert not oracle.training
    assert not any(parameter.requires_grad for parameter in oracle.parameters())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"U_o": None}, r"U_o is nothing; it must be an array of shape \(5, 5\)"),
        ({"W_c": np.zeros((5, 4), np.float32)}, r"W_c is \(5, 4\); it must be an array of shape \(4, 5\)"),
        ({"embedding": None}, "embedding"),
        ({"W_out": np.zeros(3, np.float32)}, "W_out"),
        ({"b_out": np.full(7, np.nan, np.float32)}, "b_out holds something other than finite"),
        ({"b_out": np.array(["a"] * 7)}, "b_out holds something other than finite"),
        ({"b_out": np.array([None] * 7, dtype=object)}, "not a readable .npz"),
        ({"b_out": np.zeros(7, np.complex64)}, "b_out holds something other than finite"),
        (no_words(0), r"embedding is \(0, 4\) and W_out \(5, 0\); an oracle needs V of 2 or more"),
        (no_words(1), "an oracle needs V of 2 or more"),
    ],
)
def test_a_wrong_file_is_refused_by_name(tmp_path, changes, message):
    path = tmp_path / "oracle.npz"
    write_oracle(path, **changes)
    with pytest.raises(ValueError, match=message) as error:
        load_oracle(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [b"", b"no zip", b"PK\x03\x04 torn"])
def test_an_unreadable_file_is_refused_by_name(tmp_path, content):
    path = tmp_path / "oracle.npz"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"not a readable \.npz"):
        load_oracle(path)
    with pytest.raises(ValueError, match=r"missing\.npz"):
        load_oracle(tmp_path / "missing.npz")


def test_a_truncated_file_is_refused(tmp_path):
    path = tmp_path / "oracle.npz"
    write_oracle(path)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ValueError, match=r"not a readable \.npz"):
        load_oracle(path)


def test_damaged_files_are_one_line_or_the_same_oracle(tmp_path):
    path, rng = tmp_path / "oracle.npz", random.Random(0)
    write_oracle(path)
    content, whole = path.read_bytes(), load_oracle(path).state_dict()
    for _ in range(150):
        damaged = bytearray(content)
        for _ in range(rng.randint(1, 3)):
            damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
        path.write_bytes(damaged)
        try:
            found = load_oracle(path).state_dict()
        except ValueError as error:
            assert str(path) in str(error)
            assert "\n" not in str(error)
        else:
            assert all(torch.equal(found[name], value) for name, value in whole.items())


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("embedding.weight", lambda w: w.half(), "embedding.weight is float16"),
        ("head.bias", lambda w: w / 0, "head.bias holds NaN or infinity"),
        ("lstm.bias_ih_l0", lambda w: w[1:], r"lstm.bias_ih_l0 is float32 \(127,\)"),
    ],
)
def test_a_saved_oracle_of_other_numbers_is_refused_by_name(name, change, message):
    state = dict(random_oracle(rng(0), vocabulary_size=9).state_dict())
    assert torch.equal(restore_oracle(state).state_dict()[name], state[name])
    state[name] = change(state[name])
    with pytest.raises(ValueError, match=message):
        restore_oracle(state)


def test_a_single_array_is_no_oracle(tmp_path):
    with (tmp_path / "oracle.npz").open("wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(ValueError, match=r"oracle\.npz"):
        load_oracle(tmp_path / "oracle.npz")


def test_a_random_oracle_is_standard_normal_and_reproducible():
    first, second = random_oracle(rng(5), vocabulary_size=300), random_oracle(rng(5), vocabulary_size=300)
    assert torch.equal(first.head.weight, second.head.weight)
    assert first.head.weight.std().item() == pytest.approx(1, abs=0.05)
    assert first.embedding.weight.std().item() == pytest.approx(1, abs=0.05)


@pytest.mark.slow
def test_the_official_oracle_scores_its_own_samples_and_uniform_ones_as_published():
    oracle = load_oracle(shared_data("seqgan_oracle.npz"))
    own = sample(oracle, 10_000, 20, eos_id=None, rng=rng())
    assert -own.log_probs.mean().item() == pytest.approx(5.75, abs=0.02)
    with torch.no_grad():
        batches = own.select(slice(2000)).split(200)
        teacher_forced = torch.cat([oracle.log_probs(batch) for batch in batches])
        torch.testing.assert_close(own.log_probs[:2000], teacher_forced, atol=2e-4, rtol=1e-4)
        uniform = torch.randint(0, 5000, (1000, 20), generator=rng())
        scores = torch.cat([oracle.log_probs(whole(tokens)) for tokens in uniform.split(200)])
    assert -scores.mean().item() == pytest.approx(11.44, abs=0.05)
    assert -scores.mean().item() > math.log(5000)
