import copy
import math
from functools import partial

import pytest
import torch

from seqgan.models.pairs import PairsDiscriminator, PairsDiscriminatorSettings
from seqgan.sampling.sample import sample
from seqgan.text.token_batch import TokenBatch
from seqgan.training.discriminator import (
    DiscriminatorPhase,
    DiscriminatorTrainer,
    DiscriminatorTrainingSettings,
)
from tests.tiny_models import rng, tiny_generator

LENGTH = 4


def text(seed, number=120):
    """Real text: token 1 is always followed by token 2, which no generated text knows."""
    tokens = torch.randint(1, 6, (number, LENGTH), generator=rng(seed))
    tokens[:, 1:][tokens[:, :-1] == 1] = 2
    return TokenBatch(tokens, torch.ones_like(tokens, dtype=torch.bool))


def make_trainer(seed=0, policy=None, real=None, **settings):
    random = rng(seed + 100)
    policy = policy or tiny_generator("lstm", 6, scale=0.1, forbidden=(0,))
    defaults = {"refreshes": 4, "epochs": 2, "batch_size": 20, "learning_rate": 0.03}
    return DiscriminatorTrainer(
        PairsDiscriminator(PairsDiscriminatorSettings(rank=4, l2=1e-3), vocabulary_size=6, rng=rng(seed)),
        DiscriminatorTrainingSettings(**defaults | settings),
        real=real or text(1),
        held_out=text(2, 60),
        sample_negatives=lambda number: sample(policy, number, LENGTH, eos_id=None, rng=random),
        seed=seed,
    )


def run(phase):
    results = []
    while not phase.done:
        results.append(phase.advance())
    return results


def test_it_learns_to_tell_real_from_generated_and_says_so_for_held_out_text():
    phase = DiscriminatorPhase(make_trainer())
    results = run(phase)
    phase.finish()
    metrics = phase.trainer.measure(phase.trainer.sample_negatives(200))
    assert float(results[0].metrics["discriminator/auc_held_out"]) == pytest.approx(0.5, abs=0.15)
    assert float(metrics["discriminator/auc_held_out"]) > 0.7
    assert float(metrics["discriminator/accuracy_held_out"]) > 0.6
    assert float(metrics["discriminator/loss_held_out"]) < 0.65
    first = results[0].metrics
    assert float(first["discriminator/loss_held_out"]) == pytest.approx(math.log(2), abs=0.1)
    assert float(first["discriminator/accuracy_train"]) == pytest.approx(0.5, abs=0.15)
    assert float(results[-1].metrics["discriminator/accuracy"]) > 0.6


def test_negatives_are_fresh_in_every_refresh_and_gone_through_epochs_times():
    trainer = make_trainer()
    seen = []
    trainer.sample_negatives = partial(lambda f, n: (seen.append(n), f(n))[1], trainer.sample_negatives)
    negatives = []
    for _ in range(2 * trainer.steps_per_refresh):
        trainer.train_step()
        negatives.append(trainer.negatives.tokens)
    assert trainer.steps_per_refresh == 2 * 12
    assert seen == [120, 120]
    assert negatives[0] is negatives[23]
    assert not torch.equal(negatives[0], negatives[24])


def test_an_epoch_uses_every_real_sequence_and_every_negative_once(monkeypatch):
    trainer = make_trainer(num_negatives=50, batch_size=16)
    batches = []
    monkeypatch.setattr(
        trainer, "_update", lambda batch, labels: batches.append((batch.tokens, labels)) or {}
    )
    for _ in range(trainer.steps_per_epoch):
        trainer.train_step()
    labels = torch.cat([labels for _, labels in batches])
    assert [len(labels) for _, labels in batches] == [16] * 6 + [4]
    assert labels.sum() == 50
    fakes = torch.cat([tokens[~labels] for tokens, labels in batches])
    assert sorted(map(tuple, fakes.tolist())) == sorted(map(tuple, trainer.negatives.tokens.tolist()))
    reals = torch.cat([tokens[labels] for tokens, labels in batches])
    assert set(map(tuple, reals.tolist())) <= set(map(tuple, trainer.real.tokens.tolist()))


def test_random_text_cannot_be_told_apart_when_held_out_but_is_memorised():
    """The figure that matters is the held-out one: on text without structure it stays at a half."""
    tokens = torch.randint(1, 6, (30, LENGTH), generator=rng(5))
    noise = TokenBatch(tokens, torch.ones_like(tokens, dtype=torch.bool))
    uniform = tiny_generator("lstm", 6, forbidden=(0,))
    with torch.no_grad():
        uniform.head.weight.zero_()
        uniform.head.bias.zero_()
    trainer = make_trainer(policy=uniform, real=noise, refreshes=20, patience=0, learning_rate=0.1)
    trainer.held_out = TokenBatch(
        torch.randint(1, 6, (400, LENGTH), generator=rng(6)), torch.ones(400, LENGTH).bool()
    )
    run(DiscriminatorPhase(trainer))
    metrics = trainer.measure(trainer.sample_negatives(400))
    assert float(metrics["discriminator/auc_held_out"]) == pytest.approx(0.5, abs=0.06)
    assert float(metrics["discriminator/auc_train"]) > 0.6


def test_early_stopping_hands_on_the_weights_that_were_measured_best(monkeypatch):
    trainer = make_trainer(refreshes=30, patience=2)
    figures = iter([0.5, 0.6, 0.8, 0.7, 0.75, 0.1])
    measured = []

    def measure(negatives):
        measured.append(copy.deepcopy(trainer.discriminator.state_dict()))
        return {"discriminator/auc_held_out": torch.tensor(next(figures))}

    monkeypatch.setattr(trainer, "measure", measure)
    phase = DiscriminatorPhase(trainer)
    run(phase)
    assert phase.step == 4 * trainer.steps_per_refresh + 1
    phase.finish()
    for name, value in trainer.discriminator.state_dict().items():
        assert torch.equal(value, measured[2][name])


@pytest.mark.parametrize("cut", [1, 13, 24, 30])
def test_state_is_complete_in_the_middle_of_a_refresh(cut):
    whole, first = make_trainer(), make_trainer()
    results = [whole.train_step() for _ in range(40)]
    for _ in range(cut):
        first.train_step()
    second = make_trainer()
    second.discriminator.load_state_dict(first.discriminator.state_dict())
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    second.sample_negatives = first.sample_negatives  # its random state is the run's
    again = [second.train_step() for _ in range(40 - cut)]
    assert [float(r.metrics["discriminator/loss"]) for r in again] == [
        float(r.metrics["discriminator/loss"]) for r in results[cut:]
    ]


def test_every_parameter_moves():
    trainer = make_trainer()
    before = {name: p.detach().clone() for name, p in trainer.discriminator.named_parameters()}
    for _ in range(10):
        trainer.train_step()
    assert not [n for n, p in trainer.discriminator.named_parameters() if torch.equal(p, before[n])]
