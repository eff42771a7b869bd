"""The wiring between parts: which model, which text, which temperature, which copy."""

import pytest
import torch

from seqgan.experiment import experiment as experiment_module
from seqgan.experiment import materials as materials_module
from seqgan.experiment.catalogue import SEQGAN
from seqgan.experiment.experiment import Experiment
from seqgan.experiment.materials import MATERIALS, Materials
from seqgan.runtime.seeding import make_rng
from seqgan.training import discriminator as discriminator_module
from tests.tiny_run import tiny_experiment, tiny_settings

OWN = """
import torch


def short(completions, **columns):
    return [-float(len(text)) for text in completions]


def ones(batch):
    return torch.ones(len(batch))


class Listening:
    def __init__(self, *, discriminator, language, max_length):
        self.discriminator = discriminator

    def __call__(self, batch):
        return self.discriminator.score(batch)


class Circular:
    def __init__(self, *, estimator):
        pass


class Greedy:
    def __init__(self, *, treasure):
        pass


class Nothing:
    pass


from seqgan.advantages.returns import Returns
from seqgan.algorithms.reinforce import Reinforce
from seqgan.models.pairs import PairsDiscriminator
from seqgan.training.mle import MLETrainer


class NoValues(Returns):
    def __call__(self, policy, trajectories):
        return None


class NoSteps(Reinforce):
    def step(self, rate=1.0):
        return None


class NoEpochs(MLETrainer):
    def step(self, rate=1.0):
        return None


class Unmade(PairsDiscriminator):
    def __init__(self):
        pass


class NoLogits(PairsDiscriminator):
    def logits(self, batch):
        return None
"""


@pytest.fixture(name="own")
def a_file_of_ones_own(tmp_path):
    path = tmp_path / "own.py"
    path.write_text(OWN)
    return path


def materials(*layers) -> Materials:
    return Experiment(tiny_settings(*layers)).materials


def test_the_reward_asks_the_discriminator_that_is_trained():
    found = materials()
    assert found.reward.discriminator is found.discriminator
    assert found.discriminator_trainer.discriminator is found.discriminator
    assert found.estimator.reward is found.reward
    assert found.algorithm.estimator is found.estimator
    assert found.algorithm.policy is found.mle.policy is found.discriminator_trainer.policy is found.policy


def test_the_discriminator_learns_from_training_text_and_is_held_to_validation_text():
    found = materials()
    for batch, part in (
        (found.discriminator_trainer.train, "train"),
        (found.discriminator_trainer.validation, "validation"),
    ):
        sequences = found.corpus.sequences(part)
        assert batch.tokens[batch.mask].tolist() == sequences.ids.tolist()
        assert batch.lengths.tolist() == sequences.lengths.tolist()


def test_likelihood_is_that_of_the_training_text():
    found = materials()
    assert found.mle.batches.part.sequences is found.corpus.train
    assert found.mle.num_tokens == len(found.corpus.train.ids)


def test_every_sampler_of_the_policy_takes_the_settings_of_sampling(monkeypatch):
    found = materials({"sampling": {"temperature": 0.7}})
    seen = []
    draw = discriminator_module.sample

    def record(policy, *arguments, **options):
        seen.append((policy, options["temperature"], options["precision"]))
        return draw(policy, *arguments, **options)

    monkeypatch.setattr(discriminator_module, "sample", record)
    found.discriminator_trainer.refresh()
    assert seen == [(found.policy, 0.7, "float32")]
    assert found.algorithm.sampling is found.estimator.sampling is found.sampling is found.settings.sampling


def test_samples_after_training_take_the_settings_too(monkeypatch):
    layer = {"sampling": {"precision": "bfloat16"}, "evaluation": {"temperature": 0.7}}
    experiment = Experiment(tiny_settings(layer))
    seen = []
    draw = experiment_module.sample

    def record(policy, *arguments, **options):
        seen.append((policy, options["temperature"], options["precision"]))
        return draw(policy, *arguments, **options)

    monkeypatch.setattr(experiment_module, "sample", record)
    experiment.sample(2)
    assert seen == [(experiment.policy, 0.7, "bfloat16")]
    assert experiment.test_evaluator.precision == "bfloat16"
    assert experiment.test_evaluator.settings is experiment.settings.evaluation


def test_training_is_followed_on_validation_text_and_judged_on_test_text():
    experiment = Experiment(tiny_settings())
    for part in ("validation", "test"):
        evaluator, sequences = experiment.evaluator(part, 5), experiment.corpus.sequences(part)
        assert evaluator.real.tokens[evaluator.real.mask].tolist() == sequences.ids.tolist()
        assert evaluator.split == part
    assert experiment.test_evaluator.split == "test"
    last = experiment.loop.phases[-1].assess().metrics
    assert "evaluation/nll_validation" in last and "evaluation/nll_test" not in last
    assert last["evaluation/nll_validation"] == experiment.loop.phases[0].assess().loss


def test_each_model_and_training_draw_from_random_numbers_of_their_own(monkeypatch):
    seen = []

    def record(device, seed, *purpose):
        seen.append((seed, *purpose))
        return make_rng(device, seed, *purpose)

    monkeypatch.setattr(materials_module, "make_rng", record)
    found = materials({"seed": 4})
    assert found.policy and found.discriminator and found.rng
    assert len(seen) == len(set(seen)) == 3
    assert {seed for seed, *_ in seen} == {4}


def test_fresh_materials_share_the_text_and_no_weights():
    found = materials()
    with torch.no_grad():
        found.policy.head.bias.add_(1.0)
    fresh = found.fresh()
    assert fresh.corpus is found.corpus
    assert fresh.policy is not found.policy
    assert not torch.equal(fresh.policy.head.bias, found.policy.head.bias)


def test_what_nobody_asks_for_is_never_built(own):
    found = materials({"reward": {"kind": f"{own}:short"}})
    _ = found.algorithm
    assert found.is_built("policy") and found.is_built("reward")
    assert not found.is_built("discriminator")
    assert "discriminator" not in found.components()
    listening = materials({"reward": {"kind": f"{own}:Listening"}})
    _ = listening.algorithm
    assert listening.is_built("discriminator")


def test_several_rewards_know_how_they_become_one_and_how_many_steps_there_are(own):
    """The schedule of the tiny run has 3 rounds of 2 policy steps."""
    mixed = {
        "rewards": {"a": {"kind": "length", "weight": 2.0}, "b": {"kind": f"{own}:short"}},
        "reward_combination": "geometric_mean",
    }
    reward = materials(mixed).reward
    assert (reward.num_steps, reward.combination) == (6, "geometric_mean")
    assert list(reward.rewards) == ["a", "b"] and reward.weight("a") == 2.0
    assert reward.rewards["b"].trainer_state.max_steps == 6


@pytest.mark.parametrize(("kind", "silent"), [("length", ()), ("discriminator", ("reward_hacking",))])
def test_a_reward_that_learns_cannot_be_hacked(kind, silent):
    """Its values are not comparable from one round to the next."""
    several = {"rewards": {"a": {"kind": "length"}, "b": {"kind": kind}}}
    for layer in (several, {"reward": {"kind": kind}}):
        assert tuple(Experiment(tiny_settings(layer)).loop.alarms.silent) == silent


def test_rewards_of_ones_own_are_functions_of_text_or_of_tokens_or_classes(own):
    for name, value in (("short", None), ("ones", 1.0)):
        found = materials({"reward": {"kind": f"{own}:{name}"}})
        rewards = found.reward(found.validation)
        assert rewards.shape == (len(found.validation),)
        if value is None:
            texts = [
                found.language.decode(ids[mask].tolist())
                for ids, mask in zip(found.validation.tokens, found.validation.mask, strict=True)
            ]
            assert rewards.tolist() == [-float(len(text)) for text in texts]
        else:
            assert (rewards == value).all()


@pytest.mark.parametrize(
    ("section", "name", "message"),
    [
        ("reward", "Circular", "estimator asks for reward asks for estimator: that is a circle"),
        ("reward", "Greedy", "Greedy: asks for 'treasure'; there are .*policy"),
        ("generator", "Nothing", "--generator.kind: .*Nothing' builds a Nothing, no Generator"),
        ("estimator", "Nothing", "--estimator.kind: .*Nothing' builds a Nothing, no AdvantageEstimator"),
        ("algorithm", "Nothing", "--algorithm.kind: .*Nothing' builds a Nothing, no Trainer"),
        ("discriminator", "Unmade", "Unmade: its constructor does not call super"),
        ("reward", "Nothing", "--reward.kind: .*Nothing' builds a Nothing, no Reward"),
    ],
)
def test_a_kind_that_does_not_fit_is_named_before_anything_is_written(own, tmp_path, section, name, message):
    run = tmp_path / "run"
    with pytest.raises(ValueError, match=message):
        tiny_experiment(run, {section: {"kind": f"{own}:{name}"}})
    assert not (run / "config.toml").exists()


def test_what_ones_own_kinds_return_is_checked(own):
    for section, name in (("algorithm", "NoSteps"), ("mle", "NoEpochs")):
        found = materials({section: {"kind": f"{own}:{name}"}})
        with pytest.raises(ValueError, match=f"^{section} {own}:{name}: step returned NoneType"):
            found.get(section).step()
    found = materials({"estimator": {"kind": f"{own}:NoValues"}})
    with pytest.raises(ValueError, match=f"^estimator {own}:NoValues: returned NoneType"):
        found.estimator(found.policy, found.algorithm.act())
    with pytest.raises(ValueError, match=f"^discriminator {own}:NoLogits: logits returned NoneType"):
        materials({"discriminator": {"kind": f"{own}:NoLogits"}})


def test_every_material_has_a_meaning():
    assert {"corpus", "policy", "discriminator", "reward", "estimator", "rng", "device"} <= set(MATERIALS)
    assert all(meaning.strip().endswith(".") for meaning in MATERIALS.values())
    found = materials()
    for name in MATERIALS:
        found.get(name)
    with pytest.raises(KeyError, match="there are corpus"):
        found.get("settings")


def test_every_built_in_kind_can_be_found():
    for section, table in SEQGAN.kinds.items():
        for kind in table:
            assert SEQGAN.load({section: {"kind": kind}}).seed == 0
