"""Models from elsewhere that break their contract are named in one line, whatever they do wrong."""

import pytest
import torch

from seqgan.models.check import check_discriminator, check_generator
from seqgan.models.heads import LinearHead
from seqgan.models.lstm import LSTMGenerator, LSTMSettings
from seqgan.text.token_batch import TokenBatch
from tests.tiny_models import rng, tiny_cnn, tiny_generator

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
    "initial_state": ({"initial_state": lambda *_: None}, "raised (AssertionError|TypeCheckError)"),
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


BATCH = TokenBatch(torch.arange(12).view(3, 4) % SIZE, torch.arange(4)[None] < torch.tensor([[4], [2], [1]]))


def judge(**changes):
    """A good discriminator but for what is made of its results, by the methods' names."""
    discriminator = tiny_cnn(SIZE)
    for name, change in changes.items():
        good = getattr(discriminator, name)
        setattr(discriminator, name, lambda *batch, good=good, change=change: change(good(*batch), *batch))
    return discriminator


def reading_on(logits, batch):
    """Logits of all tokens, those behind the mask too."""
    return logits + batch.tokens.sum(1)


def changing(logits, batch):
    batch.tokens.zero_()
    return logits


BAD_JUDGES = {
    "raises": ({"logits": fail}, "raised IndexError: no such thing"),
    "type": ({"logits": lambda *_: None}, "logits returned NoneType; it must return a tensor"),
    "shape": (
        {"logits": lambda logits, _: logits[:, None]},
        r"logits returned a tensor of shape \(3, 1\); it must be \(3\)",
    ),
    "rows": ({"logits": lambda logits, _: logits[1:]}, r"logits returned a tensor of shape \(2,\)"),
    "mean": ({"logits": lambda logits, _: logits.mean()}, r"logits returned a tensor of shape \(\)"),
    "NaN": ({"logits": lambda logits, _: logits * torch.nan}, "logits returned a number that is not finite"),
    "number": (
        {"logits": lambda logits, _: logits.double()},
        "logits returned numbers of type torch.float64; they must be torch.float32",
    ),
    "no gradient": ({"logits": lambda logits, _: logits.detach()}, "no gradient reaches the logits"),
    "scores": (
        {"scoring_logits": lambda logits, _: logits[:1]},
        r"scoring_logits returned a tensor of shape \(1,\); it must be \(3\)",
    ),
    "prefixes": (
        {"prefix_logits": lambda logits, _: logits[:, 1:]},
        r"prefix_logits returned a tensor of shape \(3, 3\); it must be \(3, 4\)",
    ),
    "prefixes, NaN": (
        {"prefix_logits": lambda logits, _: logits * torch.nan},
        "prefix_logits returned a number that is not finite",
    ),
    "penalty, type": ({"penalty": lambda _: 0.0}, "penalty returned float; it must return a tensor"),
    "penalty, shape": (
        {"penalty": lambda penalty: penalty[None]},
        r"penalty returned a tensor of shape \(1,\); it must be \(\)",
    ),
    "changes": ({"logits": changing}, "changes the batch that it reads"),
    "padding": (
        {"logits": reading_on},
        "the logits depend on tokens behind the mask",
    ),
}


@pytest.mark.parametrize("case", BAD_JUDGES)
def test_discriminators_that_break_the_contract_are_one_line(case):
    changes, message = BAD_JUDGES[case]
    with pytest.raises(ValueError, match=f"^discriminator own.py:Own: {message}") as error:
        check_discriminator(judge(**changes), "own.py:Own", BATCH)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("batch", [BATCH, BATCH.select(slice(1))])
def test_good_discriminators_pass_and_stay_as_they_were(batch):
    discriminator = judge(
        prefix_logits=lambda logits, batch: torch.where(batch.mask, logits, torch.nan)
    ).train()
    state = torch.get_rng_state()
    check_discriminator(discriminator, "own", batch)
    assert torch.equal(torch.get_rng_state(), state)
    assert discriminator.training
    assert all(parameter.grad is None for parameter in discriminator.parameters())
