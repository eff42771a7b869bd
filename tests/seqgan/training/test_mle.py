import math

import pytest
import torch
from torch import nn

from seqgan.text.batching import Batches
from seqgan.text.sequences import Sequences
from seqgan.text.token_batch import TokenBatch
from seqgan.training.mle import (
    MLEPhase,
    MLESettings,
    MLETrainer,
    gaussian_penalty,
    learning_rate_factor,
    mle_loss,
    real_token_rows,
)
from tests.tiny_models import KINDS, tiny_generator

EOS = 2


class NoEvaluation:
    metrics = {"evaluation/bleu_4": 0.5}
    sentences = ("a",)
    projections = {}
    loss = 0.0


def make_phase(config, generator=None, nll=lambda g: 1.0, sequences=None, kept=None, **options):
    generator = generator or tiny_generator("lstm", 5, forbidden=(0,))
    sequences = sequences or Sequences.from_lists(
        [[3, 4, EOS], [4, EOS], [3, 3, 4, EOS], [1, EOS], [4, 1, EOS]]
    )
    batches = Batches(sequences, batch_size=config.batch_size, pad_id=0, seed=0)
    trainer = MLETrainer(generator, batches, config, len(sequences.ids))
    options = {"evaluate": lambda g: NoEvaluation(), "validation_nll": nll, **options}
    return MLEPhase(trainer, kept=kept or generator, **options)


@pytest.mark.parametrize("kind", KINDS)
def test_loss_is_the_token_mean_and_blind_to_padding(kind):
    generator = tiny_generator(kind, 5)
    tokens = torch.tensor([[3, 4, EOS, 0, 0], [1, 3, 4, 4, EOS]])
    mask = torch.tensor([[True] * 3 + [False] * 2, [True] * 5])
    batch = TokenBatch(tokens, mask)
    loss = mle_loss(generator, batch, real_token_rows(mask))
    torch.testing.assert_close(loss, -generator.log_probs(batch)[mask].mean())
    loss.backward()
    gradients = [p.grad.clone() for p in generator.parameters() if p.grad is not None]
    generator.zero_grad()
    other = torch.where(mask, tokens, 4)
    wider = torch.cat([other, torch.full((2, 3), 3)], 1)
    wider_mask = torch.cat([mask, torch.zeros(2, 3, dtype=torch.bool)], 1)
    padded = mle_loss(generator, TokenBatch(wider, wider_mask), real_token_rows(wider_mask))
    torch.testing.assert_close(padded, loss)
    padded.backward()
    for a, b in zip(gradients, [p.grad for p in generator.parameters() if p.grad is not None], strict=True):
        torch.testing.assert_close(a, b, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_a_small_text_is_learned_by_heart_and_every_parameter_moves(kind):
    text = Sequences.from_lists([[3, 4, EOS], [4, 1, 1, EOS]])
    generator = tiny_generator(kind, 5, scale=0.3, forbidden=(0,))
    before = {name: p.detach().clone() for name, p in generator.named_parameters()}
    config = MLESettings(epochs=150, batch_size=2, warmup_steps=5, learning_rate=0.03)
    phase = make_phase(config, generator, lambda g: -phase.step, text)
    while not phase.done:
        result = phase.advance()
    best = math.log(2) / 7  # one choice between two sentences, spread over their tokens (with EOS, 7 in all)
    assert float(result.metrics["mle/loss"]) == pytest.approx(2 * best, abs=0.02)
    still = [name for name, p in generator.named_parameters() if torch.equal(p, before[name])]
    assert still == []


def test_learning_rate_rises_then_falls_along_a_cosine():
    factors = [learning_rate_factor(step, 4, 12, True) for step in range(12)]
    assert factors[:4] == [0.25, 0.5, 0.75, 1.0]
    assert factors[4] == 1.0
    assert factors[8] == pytest.approx(0.5)
    assert factors[4:] == sorted(factors[4:], reverse=True)
    assert [learning_rate_factor(step, 0, 9, False) for step in range(9)] == [1.0] * 9


def test_the_penalty_is_a_gaussian_prior_on_all_parameters():
    module = nn.Linear(2, 1)
    with torch.no_grad():
        module.weight.copy_(torch.tensor([[1.0, 2.0]]))
        module.bias.fill_(3.0)
    assert float(gaussian_penalty(module.parameters(), 4.0, 7).detach()) == pytest.approx(0.5 * 4 / 7 * 14)


def test_a_subclass_may_minimise_more_and_step_otherwise():
    class WithBias(MLETrainer):
        def objective(self, batch, rows):
            loss, metrics = super().objective(batch, rows)
            return loss + 100.0 * self.generator.head.bias.sum(), metrics | {"mle/more": loss.detach()}

        def update(self, objective, factor):
            seen.append(factor)
            return super().update(objective, factor)

    seen: list[float] = []
    generator = tiny_generator("lstm", 5)
    bias = generator.head.bias.detach().clone()
    sequences = Sequences.from_lists([[3, 4, EOS], [4, EOS]])
    batches = Batches(sequences, batch_size=2, pad_id=0, seed=0)
    trainer = WithBias(generator, batches, MLESettings(batch_size=2, learning_rate=0.1), len(sequences.ids))
    metrics = trainer.train_step(0, 0.5)
    assert list(metrics) == ["mle/loss", "mle/more", "mle/gradient_norm"]
    assert seen == [0.5]
    torch.testing.assert_close(generator.head.bias.detach(), bias - 0.05)  # Adam's first step


def test_the_prior_makes_weights_smaller():
    def norm(precision):
        phase = make_phase(MLESettings(epochs=150, batch_size=5, patience=0, prior_precision=precision))
        while not phase.done:
            phase.advance()
        return sum(float(p.detach().square().sum()) for p in phase.trainer.generator.parameters())

    assert norm(30.0) < 0.5 * norm(0.0)


def test_early_stopping_keeps_the_best_and_hands_it_on():
    figures = iter([3.0, 2.0, 2.5, 2.2, 2.1])
    best = []
    phase = make_phase(
        MLESettings(epochs=50, batch_size=5, patience=3), nll=lambda g: next(figures), on_best=best.append
    )
    weights = []
    while not phase.done:
        phase.advance()
        weights.append(phase.trainer.generator.head.bias.detach().clone())
    assert len(weights) == 5
    assert best == ["mle", "mle"]
    phase.start()
    assert best == ["mle", "mle", "mle"]
    phase.finish()
    assert torch.equal(phase.trainer.generator.head.bias, weights[1])
    assert not torch.equal(weights[4], weights[1])


def test_what_the_generator_depends_on_is_handed_on_with_it():
    """The other module is that of the best step, which was the second, whatever became of it later."""
    other = nn.Linear(1, 1, bias=False)
    figures = iter([3.0, 2.0, 2.5, 2.2])

    def nll(generator):
        other.weight.data.fill_(phase.step)
        return next(figures)

    generator = tiny_generator("lstm", 5, forbidden=(0,))
    kept = nn.ModuleDict({"generator": generator, "other": other})
    phase = make_phase(MLESettings(epochs=4, batch_size=5), generator, nll, kept=kept)
    while not phase.done:
        phase.advance()
    assert other.weight.item() == 4
    phase.finish()
    assert other.weight.item() == 2


def test_the_last_goes_on_where_that_is_wanted():
    phase = make_phase(MLESettings(epochs=3, batch_size=5, keep_best=False), nll=lambda g: float(phase.step))
    while not phase.done:
        phase.advance()
    last = phase.trainer.generator.head.bias.detach().clone()
    phase.finish()
    assert torch.equal(phase.trainer.generator.head.bias, last)
    assert not torch.equal(phase.best["head.bias"], last)


def test_evaluation_comes_with_the_last_step():
    phase = make_phase(MLESettings(epochs=2, batch_size=2, warmup_steps=0))
    results = []
    while not phase.done:
        results.append(phase.advance())
    assert len(results) == 6
    assert [r.always for r in results] == [False, False, True, False, False, True]
    assert results[-1].metrics["evaluation/bleu_4"] == 0.5
    assert "evaluation/bleu_4" not in results[2].metrics


def test_state_is_complete():
    config = MLESettings(epochs=6, batch_size=2, warmup_steps=3)
    whole, cut = make_phase(config, tiny_generator("lstm", 5)), make_phase(config, tiny_generator("lstm", 5))
    for _ in range(5):
        cut.advance()
    generator = tiny_generator("lstm", 5, seed=9)
    generator.load_state_dict(cut.trainer.generator.state_dict())
    resumed = make_phase(config, generator)
    resumed.load_state_dict(cut.state_dict())
    for phase in (whole, resumed):
        while not phase.done:
            phase.advance()
    pairs = zip(whole.trainer.generator.parameters(), generator.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_dropout_is_on_in_training():
    generator = tiny_generator("lstm", 5, dropout=0.5)
    phase = make_phase(MLESettings(epochs=1, batch_size=5), generator.eval())
    torch.manual_seed(0)
    first = phase.trainer.train_step(0, 0.0)["mle/loss"]
    assert phase.trainer.train_step(0, 0.0)["mle/loss"] != first
