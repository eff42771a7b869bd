"""Generators from elsewhere that break their contract are named in one line, whatever they do wrong."""

import pytest
import torch

from seqgan.models.check import check_generator
from seqgan.models.heads import LinearHead
from seqgan.models.lstm import LSTMGenerator, LSTMSettings
from tests.tiny_models import rng, tiny_generator

SIZE = 7


class Own(LSTMGenerator):
    """Good, but for what a test puts in the place of its methods."""

    def __init__(self):
        super().__init__(LSTMSettings(), vocabulary_size=SIZE, bos_id=1, forbidden=(0, 1), rng=rng())
        self.good_encode, self.good_advance = self.encode, self.advance


def broken(**methods):
    generator = Own()
    for name, method in methods.items():
        setattr(generator, name, lambda *arguments, method=method: method(generator, *arguments))
    return generator


def fail(*_):
    raise IndexError("no such thing")


def changed(change):
    def advance(generator, tokens, state):
        hidden, state = generator.good_advance(tokens, state)
        return change(hidden), state

    return advance


CASES = {
    "encode raises": ({"encode": fail}, "raised IndexError: no such thing"),
    "encode, type": ({"encode": lambda *_: "text"}, "encode returned str; it must return a tensor"),
    "encode, steps": (
        {"encode": lambda self, inputs: self.good_encode(inputs)[:, 1:]},
        r"encode returned a tensor of shape \(3, 4, 32\); it must be \(3, 5, H\)",
    ),
    "encode, dimensions": (
        {"encode": lambda self, inputs: self.good_encode(inputs).flatten(0, 1)},
        r"encode returned a tensor of shape \(15, 32\)",
    ),
    "encode, size": ({"encode": lambda self, inputs: self.good_encode(inputs)[..., 1:]}, "raised "),
    "encode, NaN": (
        {"encode": lambda self, inputs: self.good_encode(inputs) * float("nan")},
        "encode returned a number that is not finite",
    ),
    "encode, no gradient": (
        {"encode": lambda self, inputs: self.good_encode(inputs).detach()},
        "no gradient reaches the logits",
    ),
    "initial_state": ({"initial_state": lambda *_: None}, "raised AssertionError"),
    "advance raises": ({"advance": fail}, "raised IndexError: no such thing"),
    "advance, type": ({"advance": lambda *_: None}, "advance returned NoneType; it must return hidden"),
    "advance, size": (
        {"advance": changed(lambda hidden: hidden[:, 1:])},
        r"advance returned a tensor of shape \(3, 31\); it must be \(3, 32\)",
    ),
    "advance, infinite": (
        {"advance": changed(lambda hidden: hidden / 0)},
        "advance returned a number that is not finite",
    ),
    "advance, other": (
        {"advance": changed(lambda hidden: hidden + 1)},
        "advance and encode differ by 1 at step 1; they must be equal",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_breaks_the_contract_is_one_line(case):
    methods, message = CASES[case]
    generator = broken(**methods)
    if case == "encode, no gradient":
        generator.head.requires_grad_(False)
    with pytest.raises(ValueError, match=f"^generator own.py:Own: {message}") as error:
        check_generator(generator, "own.py:Own", 5)
    assert "\n" not in str(error.value)


def test_a_head_of_another_vocabulary_is_named():
    generator = Own()
    generator.head = LinearHead(32, SIZE + 1)
    with pytest.raises(
        ValueError, match=r"the head returned a tensor of shape \(3, 5, 8\); it must be \(3, 5, 7\)"
    ):
        check_generator(generator, "own", 5)


@pytest.mark.parametrize("kind", ["lstm", "transformer"])
@pytest.mark.parametrize("length", [1, 2, 9])
def test_good_generators_pass_and_stay_as_they_were(kind, length):
    generator = tiny_generator(kind, SIZE, forbidden=(0,)).train()
    state = torch.get_rng_state()
    check_generator(generator, "own", length)
    assert torch.equal(torch.get_rng_state(), state)
    assert generator.training
    assert all(parameter.grad is None for parameter in generator.parameters())
