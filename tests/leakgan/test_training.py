"""Pre-training of manager and worker, and its interleaving with the discriminator's."""

import copy

import pytest
import torch
from torch import nn

from leakgan.losses import manager_loss, transition_cosines, transition_mask
from leakgan.training import (
    HierarchicalMLESettings,
    HierarchicalMLETrainer,
    InterleavedPhase,
    InterleavingSettings,
)
from seqgan.sampling.sample import sample
from seqgan.text.batching import Batches
from seqgan.text.sequences import Sequences
from seqgan.text.token_batch import TokenBatch
from seqgan.training.discriminator import DiscriminatorTrainer, DiscriminatorTrainingSettings
from seqgan.training.mle import MLEPhase, mle_loss, real_token_rows
from tests.seqgan.training.test_mle import NoEvaluation
from tests.tiny_models import HIERARCHICAL_KINDS, rng, tiny_generator

EOS = 2
TEXT = [[3, 4, 1, 1, EOS], [4, EOS], [3, 3, 4, EOS], [1, EOS], [4, 1, 3, 4, EOS]]
REAL = TokenBatch(
    torch.tensor([line + [0] * (5 - len(line)) for line in TEXT]),
    torch.tensor([[True] * len(line) + [False] * (5 - len(line)) for line in TEXT]),
)


def make_trainer(generator, **settings):
    config = HierarchicalMLESettings(
        **{"batch_size": 2, "warmup_steps": 0, "epochs": 6, "patience": 0} | settings
    )
    sequences = Sequences.from_lists(TEXT)
    batches = Batches(sequences, batch_size=config.batch_size, pad_id=0, seed=0)
    return HierarchicalMLETrainer(generator, batches, config, len(sequences.ids))


def weights(module):
    return {name: tensor.detach().clone() for name, tensor in module.state_dict().items()}


def moved(module, before):
    return {name for name, tensor in module.state_dict().items() if not torch.equal(tensor, before[name])}


@pytest.mark.parametrize("kind", HIERARCHICAL_KINDS)
def test_every_parameter_of_manager_and_worker_moves_and_none_of_the_discriminator(kind):
    generator = tiny_generator(kind, 5, forbidden=(0,))
    before, theirs = weights(generator), weights(generator.features.cnn)
    trainer = make_trainer(generator, batch_size=5)
    for index in range(3):
        trainer.train_step(index, 1.0)
    expected = set(before) - {name for name in before if "positions" in name}
    assert moved(generator, before) >= expected
    assert not moved(generator.features.cnn, theirs)
    assert all(parameter.grad is None for parameter in generator.features.cnn.parameters())


def test_each_loss_sends_its_gradient_to_its_own_part_alone():
    generator = tiny_generator("leakgan", 5, forbidden=(0,))
    trainer = make_trainer(generator)
    mask = REAL.mask
    objective, metrics = trainer.objective(REAL, real_token_rows(mask))
    objective.backward()
    ours = [parameter.grad.clone() for parameter in generator.parameters()]
    generator.zero_grad()
    # the worker's by the likelihood as any generator's; the manager's by its loss with the value 1
    worker = mle_loss(generator, REAL, real_token_rows(mask))
    plan = generator.plan(REAL)
    cosines, reaches = transition_cosines(plan.features, plan.goals, 2), transition_mask(mask, 2)
    manager = manager_loss(cosines, torch.ones_like(cosines), reaches)
    theirs = [
        torch.autograd.grad(loss, list(generator.parameters()), allow_unused=True)
        for loss in (worker, manager)
    ]
    managers = {id(parameter) for parameter in generator.manager_parameters()}
    for parameter, our, by_worker, by_manager in zip(generator.parameters(), ours, *theirs, strict=True):
        its_own, other = (by_manager, by_worker) if id(parameter) in managers else (by_worker, by_manager)
        assert other is None
        torch.testing.assert_close(our, its_own, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(metrics["mle/loss"], worker.detach())
    torch.testing.assert_close(metrics["manager/loss"], manager.detach())
    torch.testing.assert_close(metrics["manager/goal_cosine"], -manager.detach())


def test_the_step_of_the_manager_is_that_of_an_optimizer_of_its_own():
    """Its own clipping: a huge loss of the worker leaves the manager's step as it was."""

    def step(scale):
        generator = tiny_generator("leakgan", 5, forbidden=(0,))
        with torch.no_grad():
            generator.head.weight.mul_(scale)
        before = weights(generator.manager)
        metrics = make_trainer(generator, gradient_clip=1e-3).train_step(0, 0.5)
        after = weights(generator.manager)
        return {name: after[name] - before[name] for name in before}, metrics

    calm, calm_metrics = step(1.0)
    wild, wild_metrics = step(100.0)
    assert wild_metrics["mle/gradient_norm"] > 10 * calm_metrics["mle/gradient_norm"]
    assert wild_metrics["manager/gradient_norm"] == calm_metrics["manager/gradient_norm"]
    torch.testing.assert_close(wild, calm)
    largest = max(float(change.abs().max()) for change in calm.values())
    half_a_step = 0.5 * HierarchicalMLESettings().manager_learning_rate
    assert largest == pytest.approx(half_a_step, rel=0.1)  # of Adam's first


@pytest.mark.parametrize("kind", HIERARCHICAL_KINDS)
def test_the_manager_learns_where_real_text_goes_and_the_worker_the_text(kind):
    generator = tiny_generator(kind, 5, scale=0.1, forbidden=(0,))
    trainer = make_trainer(generator, batch_size=5, learning_rate=0.02, manager_learning_rate=0.02)
    first = trainer.train_step(0, 1.0)
    for index in range(1, 120):
        last = trainer.train_step(index, 1.0)
    assert last["manager/goal_cosine"] > max(0.9, first["manager/goal_cosine"] + 0.2)
    assert last["mle/loss"] < 0.6 < first["mle/loss"]


def test_padding_changes_neither_loss():
    generator = tiny_generator("leakgan", 5, forbidden=(0,))
    trainer = make_trainer(generator)
    tokens = torch.cat([torch.where(REAL.mask, REAL.tokens, 3), torch.full((5, 3), 4)], 1)
    mask = torch.cat([REAL.mask, torch.zeros(5, 3, dtype=torch.bool)], 1)
    (first, metrics), (second, others) = (
        trainer.objective(b, real_token_rows(b.mask)) for b in (REAL, TokenBatch(tokens, mask))
    )
    torch.testing.assert_close(first, second)
    torch.testing.assert_close(metrics, others)


# Interleaving.


def make_phase(generator, *, epochs=2, refreshes=1, nll=None, seed=0, **settings):
    random = rng(seed)
    discriminator = DiscriminatorTrainer(
        generator.features.cnn,
        DiscriminatorTrainingSettings(epochs=2, batch_size=4, learning_rate=0.01),
        real=REAL,
        held_out=REAL,
        sample_negatives=lambda number: sample(generator, number, 5, eos_id=EOS, rng=random),
        seed=0,
    )
    mle = MLEPhase(
        make_trainer(generator, **settings),
        kept=nn.ModuleDict({"generator": generator, "discriminator": generator.features.cnn}),
        evaluate=lambda g: NoEvaluation(),
        validation_nll=nll or (lambda g: 1.0 / (1 + mle.step)),
    )
    phase = InterleavedPhase(InterleavingSettings(epochs=epochs, refreshes=refreshes), mle, discriminator)
    return phase, random


def kinds_of_steps(phase):
    """D or G for every step until it is done."""
    kinds = ""
    while not phase.done:
        metrics = phase.advance().metrics
        kinds += "D" if "discriminator/loss" in metrics else "G"
        assert ("mle/loss" in metrics) == (kinds[-1] == "G")
    return kinds


# 5 sentences in batches of 2 are 3 steps of the generator to an epoch; a refresh is 2 passes over 5 negatives
# by halves of 4, so 6 steps of the discriminator.
@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, "D" * 6 + "G" * 6 + "D" * 6 + "G" * 6 + "D" * 6 + "G" * 6),
        ({"epochs": 4, "refreshes": 2}, "D" * 12 + "G" * 12 + "D" * 12 + "G" * 6),
        ({"epochs": 3, "refreshes": 0}, "G" * 18),
        ({"epochs": 6}, "D" * 6 + "G" * 18),
        ({"epochs": 100}, "D" * 6 + "G" * 18),
    ],
)
def test_the_discriminator_comes_first_and_then_every_so_many_epochs(settings, expected):
    phase, _ = make_phase(tiny_generator("leakgan", 5, forbidden=(0,)), **settings)
    assert phase.num_steps == len(expected)
    seen = []
    advance = phase.advance
    phase.advance = lambda: (seen.append(phase.step), advance())[1]
    assert kinds_of_steps(phase) == expected
    assert seen == list(range(len(expected)))
    assert phase.step == phase.num_steps


def test_features_are_refreshed_by_each_visit_and_the_generator_stands_still_meanwhile():
    generator = tiny_generator("leakgan", 5, forbidden=(0,))
    phase, _ = make_phase(generator)
    while not phase.done:
        ours, theirs = weights(generator), weights(generator.features.cnn)
        before = generator.features.of_prefixes(REAL.tokens)
        kind = "discriminator/loss" in phase.advance().metrics
        assert bool(moved(generator, ours)) != kind
        assert bool(moved(generator.features.cnn, theirs)) == kind
        assert torch.equal(generator.features.of_prefixes(REAL.tokens), before) != kind


@pytest.mark.parametrize("cut", [5, 12, 20, 27])
def test_it_resumes_in_the_middle_bit_for_bit(cut):
    def finish(phase):
        kinds_of_steps(phase)
        phase.finish()

    def parts(phase):
        generator = phase.mle.trainer.generator
        return generator, generator.features.cnn, phase.discriminator, phase

    whole_generator, cut_generator = (tiny_generator("leakgan", 5, forbidden=(0,)) for _ in range(2))
    whole, _ = make_phase(whole_generator)
    torch.manual_seed(0)  # the discriminator's dropout
    finish(whole)

    first, random = make_phase(cut_generator)
    torch.manual_seed(0)
    for _ in range(cut):
        first.advance()
    saved, drawn_so_far = copy.deepcopy([part.state_dict() for part in parts(first)]), torch.get_rng_state()
    generator = tiny_generator("leakgan", 5, seed=9, forbidden=(0,))
    resumed, other_random = make_phase(generator, seed=5)
    other_random.set_state(random.get_state())
    for part, state in zip(parts(resumed), saved, strict=True):
        part.load_state_dict(state)
    torch.set_rng_state(drawn_so_far)
    finish(resumed)
    assert not moved(generator, weights(whole_generator))
    assert not moved(generator.features.cnn, weights(whole_generator.features.cnn))


def test_the_best_generator_goes_on_with_the_discriminator_that_it_listened_to():
    generator = tiny_generator("leakgan", 5, forbidden=(0,))
    figures = iter([3.0, 2.0, 2.5, 2.6, 2.7, 2.8])  # the second epoch is the best, before the second visit
    phase, _ = make_phase(generator, nll=lambda g: next(figures))
    logits = []
    while not phase.done:
        phase.advance()
        with torch.no_grad():
            logits.append(generator(REAL))
    phase.finish()
    best = 6 + 6 - 1
    with torch.no_grad():
        assert torch.equal(generator(REAL), logits[best])
        assert (logits[-1] - logits[best]).abs().max() > 1e-3


def test_the_last_of_both_go_on_where_that_is_wanted():
    generator = tiny_generator("leakgan", 5, forbidden=(0,))
    figures = iter([3.0, 2.0, 2.5, 2.6, 2.7, 2.8])
    phase, _ = make_phase(generator, nll=lambda g: next(figures), keep_best=False)
    kinds_of_steps(phase)
    last, theirs = weights(generator), weights(generator.features.cnn)
    phase.finish()
    assert not moved(generator, last)
    assert not moved(generator.features.cnn, theirs)
