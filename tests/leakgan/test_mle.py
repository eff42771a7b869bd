"""Pre-training of manager and worker, and its interleaving with the discriminator's."""

import pytest
import torch

from leakgan.catalogue import CATALOGUE
from leakgan.losses import manager_loss, transition_cosines, transition_mask
from leakgan.mle import HierarchicalMLESettings, HierarchicalMLETrainer
from seqgan.text.sequences import Sequences
from seqgan.text.token_batch import TokenBatch
from seqgan.training.mle import MLESettings, real_token_rows
from tests.tiny_models import HIERARCHICAL_KINDS, tiny_generator
from tests.tiny_run import tiny_experiment
from tests.tiny_trainers import make_trainer as make_plain_trainer
from tests.tiny_trainers import moved, weights

pytestmark = pytest.mark.slow

EOS = 2
TEXT = [[3, 4, 1, 1, EOS], [4, EOS], [3, 3, 4, EOS], [1, EOS], [4, 1, 3, 4, EOS]]
REAL = TokenBatch(
    torch.tensor([line + [0] * (5 - len(line)) for line in TEXT]),
    torch.tensor([[True] * len(line) + [False] * (5 - len(line)) for line in TEXT]),
)


def make_trainer(generator, **settings):
    return make_plain_trainer(
        HierarchicalMLESettings(**{"batch_size": 2} | settings),
        generator,
        Sequences.from_lists(TEXT),
        cls=HierarchicalMLETrainer,
    )


@pytest.mark.parametrize("kind", HIERARCHICAL_KINDS)
def test_every_parameter_of_manager_and_worker_moves_and_none_of_the_discriminator(kind):
    generator = tiny_generator(kind, 5, forbidden=(0,))
    before, theirs = weights(generator), weights(generator.features.discriminator)
    trainer = make_trainer(generator, batch_size=5)
    for _ in range(3):
        trainer.step()
    expected = set(before) - {name for name in before if "positions" in name}
    assert moved(generator, before) >= expected
    assert not moved(generator.features.discriminator, theirs)
    assert all(parameter.grad is None for parameter in generator.features.discriminator.parameters())


def test_each_loss_sends_its_gradient_to_its_own_part_alone():
    generator = tiny_generator("leakgan", 5, forbidden=(0,))
    trainer = make_trainer(generator)
    mask = REAL.mask
    objective, metrics = trainer.objective(REAL, real_token_rows(mask))
    objective.backward()
    ours = [parameter.grad.clone() for parameter in generator.parameters()]
    generator.zero_grad()
    # the worker's by the likelihood as any generator's; the manager's by its loss with the value 1
    plain = make_plain_trainer(MLESettings(), generator, Sequences.from_lists(TEXT))
    worker, _ = plain.objective(REAL, real_token_rows(mask))
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
        metrics = make_trainer(generator, gradient_clip=1e-3).step(0.5).metrics
        after = weights(generator.manager)
        clipped = torch.cat([parameter.grad.flatten() for parameter in generator.manager_parameters()])
        assert float(clipped.norm()) == pytest.approx(1e-3, rel=0.01)
        return {name: after[name] - before[name] for name in before}, metrics

    calm, calm_metrics = step(1.0)
    wild, wild_metrics = step(100.0)
    assert wild_metrics["mle/gradient_norm"] > 10 * calm_metrics["mle/gradient_norm"]
    assert wild_metrics["manager/gradient_norm"] == calm_metrics["manager/gradient_norm"]
    torch.testing.assert_close(wild, calm)
    largest = max(float(change.abs().max()) for change in calm.values())
    half_a_step = 0.5 * HierarchicalMLESettings().manager_learning_rate
    assert largest == pytest.approx(half_a_step, rel=0.1)  # of Adam's first


def test_the_prior_is_on_all_of_the_worker_and_nothing_of_the_manager():
    def gradients(precision):
        generator = tiny_generator("leakgan", 5, forbidden=(0,))
        trainer = make_trainer(generator, batch_size=5, prior_precision=precision, gradient_clip=1e9)
        before = {id(p): p.detach().clone() for p in generator.parameters()}
        trainer.step(0.0)
        return generator, before, trainer.num_tokens

    (plain, *_), (other, before, num_tokens) = gradients(0.0), gradients(3.0)
    managers = {id(parameter) for parameter in other.manager_parameters()}
    for without, parameter in zip(plain.parameters(), other.parameters(), strict=True):
        expected = 0 if id(parameter) in managers else 3.0 / num_tokens * before[id(parameter)]
        torch.testing.assert_close(parameter.grad, without.grad + expected)


@pytest.mark.parametrize("kind", HIERARCHICAL_KINDS)
def test_the_manager_learns_where_real_text_goes_and_the_worker_the_text(kind):
    generator = tiny_generator(kind, 5, scale=0.1, forbidden=(0,))
    trainer = make_trainer(generator, batch_size=5, learning_rate=0.02, manager_learning_rate=0.02)
    first = trainer.step().metrics
    for _ in range(1, 120):
        last = trainer.step().metrics
    assert last["manager/goal_cosine"] > max(0.9, first["manager/goal_cosine"] + 0.2)
    assert last["mle/loss"] < 0.6 < first["mle/loss"]


def test_padding_changes_neither_loss():
    generator = tiny_generator("leakgan", 5, forbidden=(0,))
    trainer = make_trainer(generator)
    tokens = torch.cat([torch.where(REAL.mask, REAL.tokens, 3), torch.full((5, 3), 4)], 1)
    mask = torch.cat([REAL.mask, torch.zeros(5, 3, dtype=torch.bool)], 1)
    (first, metrics), (second, others) = (
        trainer.objective(batch, real_token_rows(batch.mask)) for batch in (REAL, TokenBatch(tokens, mask))
    )
    torch.testing.assert_close(first, second)
    torch.testing.assert_close(metrics, others)


# In a run.


def interleaved(run=None, **mle):
    return tiny_experiment(run, {"mle": {"epochs": 6, "patience": 0} | mle}, catalogue=CATALOGUE)


def kinds_of_rounds(phase):
    """D for every visit to the discriminator and G for every epoch, until the phase is done."""
    kinds = []
    phase.start()
    while not phase.done:
        kind = "D" if "discriminator/loss" in phase.advance().report.metrics else "G"
        kinds.append(kind)
    return kinds


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"interleaving_epochs": 2}, "DGGDGGDGG"),
        ({"interleaving_epochs": 4, "interleaving_refreshes": 2}, "DDGGGGDDGG"),
        ({"interleaving_epochs": 0}, "GGGGGG"),
        ({"interleaving_epochs": 100}, "DGGGGGG"),
    ],
)
def test_the_discriminator_comes_first_and_then_every_so_many_epochs(settings, expected):
    experiment = interleaved(**settings)
    phase, materials = experiment.loop.phases[0], experiment.materials
    steps = {"D": materials.discriminator_trainer.steps_per_turn, "G": materials.mle.steps_per_turn}
    assert kinds_of_rounds(phase) == [kind for kind in expected for _ in range(steps[kind])]
    assert phase.step == phase.num_steps


def test_features_are_refreshed_by_each_visit_and_the_generator_stands_still_meanwhile():
    experiment = interleaved(interleaving_epochs=1, epochs=1)
    phase, generator = experiment.loop.phases[0], experiment.policy
    assert generator.features.discriminator is experiment.discriminator
    phase.start()
    while not phase.done:
        ours, theirs = weights(generator), weights(experiment.discriminator)
        before = generator.features.of_prefixes(experiment.materials.validation.tokens)
        visits = "discriminator/loss" in phase.advance().report.metrics
        assert bool(moved(generator, ours)) != visits
        assert bool(moved(experiment.discriminator, theirs)) == visits
        after = generator.features.of_prefixes(experiment.materials.validation.tokens)
        assert torch.equal(after, before) != visits


def test_the_best_generator_goes_on_with_the_discriminator_that_it_listened_to(monkeypatch):
    experiment = interleaved(interleaving_epochs=2, epochs=4)
    phase, text = experiment.loop.phases[0], experiment.materials.validation
    figures = iter([3.0, 2.0, 2.5, 2.6])  # the second epoch is the best, before the second visit
    figure = phase.assess
    monkeypatch.setattr(phase, "assess", lambda: type(figure())(next(figures), {}))
    logits = []
    phase.start()
    while not phase.done:
        if phase.advance().assessment is not None:
            with torch.no_grad():
                logits.append(experiment.policy.eval()(text))
    phase.finish()
    with torch.no_grad():
        assert torch.equal(experiment.policy.eval()(text), logits[1])
    assert (logits[-1] - logits[1]).abs().max() > 1e-3


def test_likelihood_steps_between_policy_steps_make_the_likelihood_better():
    """The manager's steps are as small as the worker's, and both go on with the moments of pre-training."""
    experiment = interleaved(interleaving_epochs=5, epochs=8)
    experiment.loop.run(1)
    settings, trainer = experiment.settings.adversarial, experiment.materials.mle
    (turn,) = (t for t in experiment.loop.phases[-1].phase.turns if t.trainer == "mle")
    assert turn.rate == settings.mle_rate < 1

    def validation_nll():
        return experiment.loop.phases[0].assess().loss

    before = validation_nll()
    trainer.start()  # as the phase does
    for _ in range(30):
        trainer.step(turn.rate)
    assert validation_nll() < before - 0.05
