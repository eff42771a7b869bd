import math

import pytest
import torch
from torch import nn

from seqgan.runtime.optimization import schedule_rate
from seqgan.text.sequences import Sequences
from seqgan.text.token_batch import TokenBatch
from seqgan.training.mle import MLESettings, MLETrainer, gaussian_penalty, real_token_rows
from tests.tiny_models import KINDS, tiny_generator
from tests.tiny_trainers import EOS, make_trainer


@pytest.mark.parametrize("kind", KINDS)
def test_loss_is_the_token_mean_and_blind_to_padding(kind):
    generator = tiny_generator(kind, 5)
    tokens = torch.tensor([[3, 4, EOS, 0, 0], [1, 3, 4, 4, EOS]])
    mask = torch.tensor([[True] * 3 + [False] * 2, [True] * 5])
    trainer, batch = make_trainer(generator=generator), TokenBatch(tokens, mask)
    loss, _ = trainer.objective(batch, real_token_rows(mask))
    torch.testing.assert_close(loss, -generator.log_probs(batch)[mask].mean())
    loss.backward()
    gradients = [p.grad.clone() for p in generator.parameters() if p.grad is not None]
    generator.zero_grad()
    other = torch.where(mask, tokens, 4)
    wider = torch.cat([other, torch.full((2, 3), 3)], 1)
    wider_mask = torch.cat([mask, torch.zeros(2, 3, dtype=torch.bool)], 1)
    padded, _ = trainer.objective(TokenBatch(wider, wider_mask), real_token_rows(wider_mask))
    torch.testing.assert_close(padded, loss)
    padded.backward()
    for a, b in zip(gradients, [p.grad for p in generator.parameters() if p.grad is not None], strict=True):
        torch.testing.assert_close(a, b, atol=1e-6, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_small_text_is_learned_by_heart_and_every_parameter_moves(kind):
    text = Sequences.from_lists([[3, 4, EOS], [4, 1, 1, EOS]])
    generator = tiny_generator(kind, 5, scale=0.3, forbidden=(0,))
    before = {name: p.detach().clone() for name, p in generator.named_parameters()}
    trainer = make_trainer(MLESettings(batch_size=2, learning_rate=0.03), generator, text)
    for step in range(150):
        report = trainer.step(schedule_rate(step, 150, warmup_steps=5, cosine_decay=True))
    best = math.log(2) / 7  # one choice between two sentences, spread over their tokens (with EOS, 7 in all)
    assert float(report.metrics["mle/loss"]) == pytest.approx(2 * best, abs=0.02)
    still = [name for name, p in generator.named_parameters() if torch.equal(p, before[name])]
    assert still == []


def test_learning_rate_rises_then_falls_along_a_cosine():
    factors = [schedule_rate(step, 12, warmup_steps=4, cosine_decay=True) for step in range(12)]
    assert factors[:4] == [0.25, 0.5, 0.75, 1.0]
    assert factors[4] == 1.0
    assert factors[8] == pytest.approx(0.5)
    assert factors[4:] == sorted(factors[4:], reverse=True)
    assert [schedule_rate(step, 9) for step in range(9)] == [1.0] * 9


def test_the_penalty_is_a_gaussian_prior_on_all_parameters():
    module = nn.Linear(2, 1)
    with torch.no_grad():
        module.weight.copy_(torch.tensor([[1.0, 2.0]]))
        module.bias.fill_(3.0)
    assert float(gaussian_penalty(module.parameters(), 4.0, 7).detach()) == pytest.approx(0.5 * 4 / 7 * 14)


def test_the_prior_counts_once_in_all_tokens_of_the_training_text():
    gradients = []
    for precision in (0.0, 4.0):
        trainer = make_trainer(MLESettings(batch_size=5, prior_precision=precision, gradient_clip=1e9))
        trainer.step(0.0)
        gradients.append([parameter.grad for parameter in trainer.policy.parameters()])
    for parameter, without, with_prior in zip(trainer.policy.parameters(), *gradients, strict=True):
        torch.testing.assert_close(with_prior, without + 4 / 14 * parameter.detach())  # TEXT has 14 tokens


def test_a_subclass_may_minimise_more_and_step_otherwise():
    class WithBias(MLETrainer):
        def objective(self, batch, rows):
            loss, metrics = super().objective(batch, rows)
            return loss + 100.0 * self.policy.head.bias.sum(), metrics | {"mle/more": loss.detach()}

        def update(self, objective, rate):
            seen.append(rate)
            return super().update(objective, rate)

    seen: list[float] = []
    generator = tiny_generator("lstm", 5)
    bias = generator.head.bias.detach().clone()
    settings = MLESettings(batch_size=2, learning_rate=0.1)
    trainer = make_trainer(settings, generator, Sequences.from_lists([[3, 4, EOS], [4, EOS]]), cls=WithBias)
    metrics = trainer.step(0.5).metrics
    assert set(metrics) == {"mle/loss", "mle/more", "mle/learning_rate", "mle/gradient_norm"}
    assert float(metrics["mle/learning_rate"]) == pytest.approx(0.05)
    assert seen == [0.5]
    torch.testing.assert_close(generator.head.bias.detach(), bias - 0.05)  # Adam's first step


@pytest.mark.slow
def test_the_prior_makes_weights_smaller():
    def norm(precision):
        trainer = make_trainer(MLESettings(batch_size=5, prior_precision=precision))
        for step in range(150):
            trainer.step(schedule_rate(step, 150, cosine_decay=True))
        return sum(float(p.detach().square().sum()) for p in trainer.policy.parameters())

    assert norm(30.0) < 0.5 * norm(0.0)


def test_an_epoch_is_a_turn_and_its_order_goes_on_over_turns():
    trainer = make_trainer(MLESettings(batch_size=2))
    assert trainer.steps_per_turn == 3
    seen = []
    batch_at = trainer.batches.batch_at
    trainer.batches.batch_at = lambda epoch, index: seen.append((epoch, index)) or batch_at(epoch, index)
    for _ in range(2):
        trainer.start()
        for _ in range(3):
            trainer.step(0.0)
    assert seen == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]


def test_state_is_complete():
    settings = MLESettings(batch_size=2)
    whole, cut = (make_trainer(settings, tiny_generator("lstm", 5)) for _ in range(2))
    for _ in range(5):
        cut.step(0.5)
    generator = tiny_generator("lstm", 5, seed=9)
    generator.load_state_dict(cut.policy.state_dict())
    resumed = make_trainer(settings, generator)
    resumed.load_state_dict(cut.state_dict())
    for trainer in (whole, resumed):
        while trainer.num_steps < 18:
            trainer.step(0.5)
    pairs = zip(whole.policy.parameters(), generator.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_dropout_is_on_in_training():
    generator = tiny_generator("lstm", 5, dropout=0.5)
    trainer = make_trainer(MLESettings(batch_size=5), generator.eval())
    torch.manual_seed(0)
    first = trainer.step(0.0).metrics["mle/loss"]
    assert trainer.step(0.0).metrics["mle/loss"] != first
