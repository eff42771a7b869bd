from dataclasses import dataclass

import pytest
import torch

from seqgan.training.adversarial import AdversarialPhase, AdversarialSettings
from seqgan.training.discriminator import DiscriminatorTrainer
from seqgan.training.mle import MLETrainer
from seqgan.training.phase import StepResult
from tests.tiny_models import tiny_generator
from tests.tiny_run import tiny_experiment


class RecordedAlgorithm:
    def __init__(self, calls):
        self.calls = calls
        self.factors = []

    def start(self):
        self.calls.append("algorithm start")

    def policy_step(self, factor):
        self.factors.append(factor)
        self.calls.append("policy")
        return {"policy/loss": torch.tensor(1.0)}, {}

    def state_dict(self):
        return {}

    def load_state_dict(self, state):
        pass


class RecordedMLE(MLETrainer):
    def __init__(self, calls):
        self.calls = calls

    def train_step(self, index, factor):
        self.calls.append(("mle", index, factor))
        return {}


class RecordedDiscriminator(DiscriminatorTrainer):
    steps_per_refresh = 3

    def __init__(self, calls):
        self.calls, self.step = calls, 7

    def train_step(self):
        self.calls.append(("discriminator",))
        return StepResult({})


@dataclass
class Figures:
    loss: float
    metrics = {"evaluation/unique": 1.0}
    sentences = ("a",)
    projections = {}


def make_phase(config, losses=()):
    calls = []
    figures = iter(losses)
    phase = AdversarialPhase(
        config,
        RecordedAlgorithm(calls),
        policy=tiny_generator("lstm"),
        mle=RecordedMLE(calls),
        discriminator=RecordedDiscriminator(calls),
        evaluate=lambda policy: (calls.append("evaluate"), Figures(next(figures, 0.0)))[1],
        on_best=lambda phase: calls.append(f"best {phase}"),
    )
    return phase, calls


def test_the_schedule_is_followed_to_the_letter():
    config = AdversarialSettings(
        rounds=2, policy_steps=2, mle_steps=1, discriminator_refreshes=1, evaluation_interval=1
    )
    phase, calls = make_phase(config, [2.0, 3.0])
    phase.start()
    assert phase.discriminator.step == 0
    while not phase.done:
        phase.advance()
    discriminator = [("discriminator",)] * 3
    assert calls == [
        *["algorithm start"],
        *["policy", "policy", *discriminator, ("mle", 0, 1.0), "evaluate", "best adversarial"],
        *["policy", "policy", *discriminator, ("mle", 1, 1.0), "evaluate"],
    ]


def test_the_step_size_falls_along_a_cosine_over_all_rounds_or_stays():
    for cosine_decay, expected in ((True, [1.0, 0.85355, 0.5, 0.14645]), (False, [1.0] * 4)):
        config = AdversarialSettings(
            rounds=2, policy_steps=2, discriminator_refreshes=0, cosine_decay=cosine_decay
        )
        phase, _ = make_phase(config)
        while not phase.done:
            phase.advance()
        assert phase.algorithm.factors == pytest.approx(expected, abs=1e-5)


def test_a_frozen_discriminator_and_rare_evaluations():
    config = AdversarialSettings(rounds=5, policy_steps=1, discriminator_refreshes=0, evaluation_interval=2)
    phase, calls = make_phase(config)
    while not phase.done:
        phase.advance()
    calls = [call for call in calls if not call.startswith("best")]
    assert calls == ["policy", "policy", "evaluate", "policy", "policy", "evaluate", "policy", "evaluate"]


def test_evaluation_comes_with_the_step_and_the_best_is_kept():
    config = AdversarialSettings(rounds=4, discriminator_refreshes=0, evaluation_interval=1)
    phase, calls = make_phase(config, [3.0, 5.0, 2.0, 2.0])
    results = [phase.advance() for _ in range(4)]
    assert calls.count("best adversarial") == 2
    assert all("evaluation/unique" in r.metrics and "policy/loss" in r.metrics and r.always for r in results)


def test_the_discriminator_is_frozen_while_the_policy_learns_and_the_other_way_round():
    experiment = tiny_experiment(None, {"adversarial": {"rounds": 1, "mle_steps": 0}})
    experiment.pretrain()
    phase = experiment.loop.phases[2]
    phase.start()

    def weights(model):
        return torch.cat([p.detach().flatten().clone() for p in model.parameters()])

    policy, discriminator = weights(experiment.policy), weights(experiment.discriminator)
    for _ in range(2):
        phase.advance()
    assert torch.equal(weights(experiment.discriminator), discriminator)
    assert not torch.equal(weights(experiment.policy), policy)
    policy = weights(experiment.policy)
    phase.advance()
    assert torch.equal(weights(experiment.policy), policy)
    assert not torch.equal(weights(experiment.discriminator), discriminator)
