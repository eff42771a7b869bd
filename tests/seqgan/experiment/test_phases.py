"""The tables of turns that settings describe, and what their phases are measured by."""

import pytest
import torch

from leakgan.catalogue import CATALOGUE
from seqgan.evaluation.likelihood import nll
from seqgan.experiment.catalogue import SEQGAN
from seqgan.experiment.phases import schedule
from seqgan.runtime.trainer import Trainer
from seqgan.training.schedule import Phase, Turn
from tests.tiny_run import tiny_experiment

DIFFERENT = {
    "mle": {
        "epochs": 7, "warmup_steps": 5, "validation_interval": 2, "patience": 3,
        "interleaving_epochs": 4, "interleaving_refreshes": 2,
    },
    "discriminator_training": {"refreshes": 6, "patience": 8},
    "adversarial": {
        "rounds": 9, "policy_steps": 3, "discriminator_refreshes": 5, "mle_steps": 10, "mle_rate": 0.3,
        "evaluation_interval": 12,
    },
}  # fmt: skip


class Steps(Trainer):
    """A trainer of which only the number of its steps counts."""

    steps_per_turn = 0

    def __init__(self, steps_per_turn):
        self.steps_per_turn = steps_per_turn


def materials(layer=None):
    return tiny_experiment(None, DIFFERENT, layer or {}).materials


@pytest.mark.parametrize("first", [True, False])
def test_every_setting_of_the_schedule_stands_in_its_place(first):
    flags = {
        "mle": {"keep_best": first, "cosine_decay": not first},
        "discriminator_training": {"keep_best": not first},
        "adversarial": {"cosine_decay": first},
    }
    trainers = {"mle": Steps(11), "discriminator": Steps(13)}
    mle, discriminator, adversarial = schedule(materials(flags), trainers)
    likelihood = Turn("mle", 11, warmup_steps=5, cosine_decay=not first)
    assert mle == Phase(
        "mle", 7, [Turn("discriminator", 26, every=4), likelihood], interval=2, patience=3, keep_best=first
    )
    assert discriminator == Phase(
        "discriminator",
        6,
        [Turn("discriminator", 13)],
        patience=8,
        keep_best=not first,
        trains_generator=False,
    )
    turns = [Turn("policy", 3, cosine_decay=first), Turn("discriminator", 65), Turn("mle", 10, rate=0.3)]
    assert adversarial == Phase("adversarial", 9, turns, interval=12)


def test_without_a_discriminator_nobody_visits_it():
    phases = schedule(materials(), {"mle": Steps(11)})
    steps = {turn.steps for phase in phases for turn in phase.turns if turn.trainer == "discriminator"}
    assert steps == {0}


@pytest.mark.parametrize("catalogue", [SEQGAN, CATALOGUE], ids=["seqgan", "leakgan"])
def test_phases_are_measured_on_validation_text_and_what_they_have_trained_on_test_text(catalogue):
    experiment = tiny_experiment(None, {"evaluation": {"temperature": 0.7}}, catalogue=catalogue)
    policy, corpus = experiment.policy, experiment.corpus
    expected = {
        part: nll(policy, experiment.materials.split(part), temperature=0.7).value
        for part in ("validation", "test")
    }
    assert expected["validation"] != pytest.approx(expected["test"], rel=1e-3)
    mle, discriminator, adversarial = experiment.loop.phases
    assert mle.assess().loss == pytest.approx(expected["validation"], rel=1e-5)
    for found in (mle.conclude(), adversarial.assess()):
        assert found.metrics["evaluation/nll_validation"] == pytest.approx(expected["validation"], rel=1e-5)
        assert found.score.signature.hypotheses == 20  # as many as are sampled in training
        assert found.score.signature.references == len(corpus.validation)
    after = experiment.evaluate().score
    assert after.values["nll_test"] == pytest.approx(expected["test"], rel=1e-5)
    assert (after.signature.hypotheses, after.signature.references) == (40, len(corpus.test))
    assert mle.kept.modules.keys() == {"generator", *policy.companions()}
    assert discriminator.kept is experiment.discriminator
    assert [phase.assess_start for phase in (mle, adversarial)] == [False, True]


def test_vectors_to_look_at_are_of_samples_like_those_that_are_measured(monkeypatch):
    experiment = tiny_experiment(None, {"evaluation": {"temperature": 0.7}}, catalogue=CATALOGUE)
    seen = []
    project = experiment.policy.projections
    monkeypatch.setattr(
        experiment.policy, "projections", lambda b, words: seen.append(b) or project(b, words)
    )
    experiment.loop.phases[0].conclude()
    (batch,) = seen
    log_probs = experiment.policy.eval().log_probs(batch, 0.7).detach()
    torch.testing.assert_close(batch.log_probs[batch.mask], log_probs[batch.mask], atol=1e-4, rtol=1e-4)


def test_evaluators_know_the_runs_text_seed_and_number_format():
    settings = {"seed": 5, "sampling": {"precision": "bfloat16"}}
    experiment = tiny_experiment(None, settings)
    for part in ("validation", "test"):
        evaluator = experiment.evaluator(part, 30)
        assert evaluator.training is experiment.corpus.train
        assert (evaluator.seed, evaluator.precision, evaluator.num_samples) == (5, "bfloat16", 30)
