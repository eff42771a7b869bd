import dataclasses
import json
import math
import re
import shutil
import sys
from typing import get_args, get_type_hints

import pytest
import torch

from seqgan.config.schema import to_settings
from seqgan.config.toml import flatten
from seqgan.evaluation.metrics import METRICS
from seqgan.experiment.catalogue import SEQGAN
from seqgan.experiment.experiment import Experiment
from seqgan.experiment.materials import MATERIALS
from seqgan.runtime.devices import without_subnormals
from seqgan.runtime.tracking import read_rows
from tests.runs import finish
from tests.shared_data import shared_data
from tests.tiny_models import whole
from tests.tiny_run import tiny_experiment, tiny_settings

pytestmark = pytest.mark.slow

OF_OTHER_ALGORITHMS = {  # see test_algorithms.py and test_dpo.py
    *("reward/return", "policy/clip_fraction", "policy/old_kl"),
    *(name for name in METRICS if name.startswith(("critic/", "preference/"))),
}


def test_ten_lines_build_train_sample_and_score():
    experiment = tiny_experiment()
    before = experiment.score(["The girl makes soup before dinner."])[0]
    experiment.train()
    sentences = experiment.sample_tokens(3, temperature=0.8)
    assert len(sentences) == 3
    assert all(isinstance(token, str) for sentence in sentences for token in sentence)
    detokenize = experiment.language.tokenizer.detokenize
    assert experiment.sample(3, temperature=0.8) == [detokenize(tokens) for tokens in sentences]
    assert experiment.score(["The girl makes soup before dinner."])[0] > before
    assert 0 <= experiment.evaluate().score.values["bleu_2"] <= 1


def test_scores_are_log_likelihoods_per_token_with_eos_whatever_the_batch():
    experiment = tiny_experiment()
    sentence, other = "The girl makes soup.", "We were happy about the long letter."
    ids = experiment.language.encode(sentence)
    assert ids[-1] == experiment.vocabulary.eos_id
    expected = experiment.policy.log_probs(whole(torch.tensor([ids]))).mean().detach()
    together = experiment.score([sentence, other])
    assert together[0] == pytest.approx(float(expected), abs=1e-5)
    assert together[0] == pytest.approx(experiment.score([sentence])[0], abs=1e-6)


def test_numbers_too_small_to_matter_are_0_in_training_alone():
    def product():
        return float(torch.tensor([1e-30]).mul(1e-10))

    experiment, seen = tiny_experiment(), []
    experiment.loop.after_step = lambda: seen.append(product())
    experiment.train()
    assert set(seen) == {0.0} and product() != 0
    with without_subnormals():
        experiment.evaluate()
        assert product() == 0  # as it was before


def test_a_prefix_begins_every_sentence():
    experiment = tiny_experiment()
    for tokens in experiment.sample_tokens(20, prefix="The girl"):
        assert tokens[:2] == ["The", "girl"]


def test_the_same_seed_is_the_same_run_and_another_is_not():
    def weights(seed):
        experiment = tiny_experiment(None, {"seed": seed})
        experiment.train()
        return torch.cat([p.detach().flatten() for p in experiment.policy.parameters()])

    first = weights(1)
    assert torch.equal(first, weights(1))
    assert not torch.equal(first, weights(2))


@pytest.mark.parametrize("name", SEQGAN.preset_names())
def test_every_preset_resolves_and_its_models_take_a_step(name):
    """All presets whose corpus is at hand; the steps are few, the sizes are the preset's own."""
    small = {
        "mle": {"epochs": 1},
        "discriminator_training": {"refreshes": 1, "epochs": 1, "num_negatives": 4, "batch_size": 4},
        "adversarial": {"rounds": 1, "policy_steps": 1, "mle_steps": 0, "discriminator_refreshes": 0},
        "algorithm": {"batch_size": 2},
        "evaluation": {"num_samples": 4, "num_samples_in_training": 4},
    }
    config = SEQGAN.load_preset(name)
    match config.corpus.kind:
        case "coco":
            corpus = {"path": str(shared_data("coco"))}
        case "oracle":
            corpus = {"num_train": 300, "num_validation": 10, "num_test": 10}
        case _:
            corpus = {}
    experiment = Experiment(SEQGAN.load_preset(name, small, {"corpus": corpus}), cache=None)
    loop = experiment.loop
    for phase in loop.phases:
        phase.start()
        report = phase.advance().report
    assert math.isfinite(float(report.metrics["policy/loss"].detach()))
    kind = "transformer" if name.endswith("-transformer") else "lstm"
    assert config.generator.kind == kind


def test_settings_that_may_be_none_are_none_by_default():
    """TOML has no None: a setting that is left out must mean it."""

    def check(config):
        hints = get_type_hints(type(config))
        for setting in dataclasses.fields(config):
            value = getattr(config, setting.name)
            if dataclasses.is_dataclass(value):
                check(value)
            elif type(None) in get_args(hints[setting.name]):
                assert setting.default is None, setting.name

    for name in SEQGAN.preset_names():
        check(SEQGAN.load_preset(name))


def test_presets_differ_from_their_transformers_in_the_generator_alone():
    for name in SEQGAN.preset_names():
        if f"{name}-transformer" in SEQGAN.preset_names():
            plain, other = (
                flatten(to_settings(SEQGAN.load_preset(n))) for n in (name, f"{name}-transformer")
            )
            different = {k for k in plain.keys() | other.keys() if plain.get(k) != other.get(k)}
            assert all(key.startswith(("generator.", "mle.")) for key in different), different


def test_the_run_folder_is_all_that_is_needed(tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("".join(f"the {a} sees the {b} .\n" for a in "abcdefgh" for b in "abcdefgh"))
    experiment = tiny_experiment(tmp_path / "run", {"corpus": {"kind": "file", "path": str(text)}})
    experiment.pretrain()
    experiment.loop.tracker.close()
    text.unlink()
    again = Experiment.open(tmp_path / "run")
    assert again.settings == experiment.settings
    assert again.vocabulary == experiment.vocabulary
    generator = again.load_generator()
    for a, b in zip(generator.parameters(), experiment.policy.parameters(), strict=True):
        assert torch.equal(a, b)
    with pytest.raises(ValueError, match="has no adversarial-best; there is mle-best, mle-last"):
        again.load_generator("adversarial-best")


def test_an_opened_run_samples_and_scores_with_its_furthest_generator(tmp_path):
    """And not with one that was never trained."""
    experiment = tiny_experiment(tmp_path / "run")
    experiment.pretrain()
    experiment.loop.tracker.close()
    again = Experiment.open(tmp_path / "run")
    ours = experiment.sample(30, seed=4)
    assert again.sample(30, seed=4) == ours
    sentence = ["The girl makes soup before dinner."]
    assert again.score(sentence) == experiment.score(sentence)
    finish(experiment)
    trained = Experiment.open(tmp_path / "run")
    assert trained.sample(30, seed=4) == experiment.sample(30, seed=4) != ours


def test_an_opened_run_needs_neither_reward_nor_discriminator(tmp_path):
    """Nor the file that the reward was in."""
    own = tmp_path / "vanishing.py"
    own.write_text("def short(completions, **columns):\n    return [0.0 for _ in completions]\n")
    experiment = tiny_experiment(tmp_path / "run", {"reward": {"kind": f"{own}:short"}})
    experiment.loop.run(1)
    experiment.loop.tracker.close()
    own.unlink()
    for name in [name for name in sys.modules if name.startswith("vanishing_")]:
        del sys.modules[name]
    again = Experiment.open(tmp_path / "run")
    assert again.sample(3, seed=4) == experiment.sample(3, seed=4)
    assert again.evaluate().metrics == experiment.evaluate().metrics
    built = {name for name in MATERIALS if again.materials.is_built(name)}
    assert not built & {"reward", "discriminator", "discriminator_trainer", "estimator", "algorithm", "mle"}
    with pytest.raises(ValueError, match=r"--reward.kind: cannot import .*vanishing.py:short'"):
        again.train()


@pytest.mark.parametrize("sign", [1, -1])
def test_the_best_generator_may_be_that_of_the_highest_reward(tmp_path, sign):
    """Of three evaluations: before the adversarial phase, after its second round and at its end."""
    (tmp_path / "own.py").write_text(
        "def words(completions, **columns):\n"
        f"    return [{sign}.0 * len(text.split()) for text in completions]\n"
    )
    reward = {"reward": {"kind": f"{tmp_path}/own.py:words"}, "evaluation": {"criterion": "reward"}}
    layer = {**reward, "algorithm": {"kl_weight": 0.0, "learning_rate": 0.03}}
    experiment = tiny_experiment(tmp_path / "run", layer)
    experiment.train()
    rows = read_rows(tmp_path / "run" / "metrics.jsonl")
    rewards = [row["evaluation/reward"] for row in rows if row.get("evaluation/reward") is not None]
    same_as = {0: "mle-best", 2: "adversarial-last"}
    best = experiment.load_generator("adversarial-best").state_dict()
    for index, name in same_as.items():
        other = experiment.load_generator(name).state_dict()
        are_equal = all(torch.equal(value, other[key]) for key, value in best.items())
        assert are_equal == (rewards.index(max(rewards)) == index)
    assert len(rewards) == 3


def test_a_generator_of_another_text_is_refused(tmp_path):
    """Of equal sizes: only the digest in the file tells."""
    runs = [tmp_path / name for name in ("one", "other")]
    for seed, run in enumerate(runs):
        experiment = tiny_experiment(run, {"corpus": {"split_seed": seed, "max_vocabulary_size": 50}})
        experiment.save_generator("best", "mle")
    shutil.copy(*(run / "checkpoints" / "mle-best.pt" for run in runs))
    with pytest.raises(ValueError, match=r"other/checkpoints/mle-best.pt: made with another corpus"):
        Experiment.open(runs[1]).load_generator("mle-best")


def test_other_settings_than_the_runs_are_refused(tmp_path):
    experiment = tiny_experiment(tmp_path / "run")
    experiment.loop.save()
    experiment.loop.tracker.close()
    with pytest.raises(ValueError, match=r"--mle.epochs: 3 differs from 2, with which .*run was made"):
        tiny_experiment(tmp_path / "run", {"mle": {"epochs": 3}})
    tiny_experiment(tmp_path / "run", {"tracking": {"log_interval": 1}})


def test_a_run_of_another_version_is_refused(tmp_path):
    tiny_experiment(tmp_path / "run")
    path = tmp_path / "run" / "config.toml"
    path.write_text(path.read_text().replace("format = 3", "format = 99"))
    with pytest.raises(ValueError, match=r"config.toml: run of format 99; this version reads format 3"):
        Experiment.open(tmp_path / "run")
    with pytest.raises(ValueError, match="is no run folder"):
        Experiment.open(tmp_path)


@pytest.mark.parametrize("name", ["cuda:99", "tpu", "xyz", "meta"])
def test_a_device_that_is_not_there_is_named(name):
    with pytest.raises(ValueError, match="--device: "):
        tiny_experiment(None, {"device": name})


def test_a_prepared_corpus_is_read_from_the_cache_until_its_text_changes(tmp_path):
    text, cache = tmp_path / "text.txt", tmp_path / "cache"
    lines = [f"the {a} sees the {b} .\n" for a in "abcdefgh" for b in "abcdefgh"]

    def digest():
        corpus = {"kind": "file", "path": str(text)}
        return Experiment(tiny_settings({"corpus": corpus}), cache=cache).corpus.digest

    text.write_text("".join(lines))
    first = digest()
    assert digest() == first
    assert len(list(cache.iterdir())) == 1
    text.write_text("".join(reversed(lines)))
    assert digest() != first
    assert len(list(cache.iterdir())) == 2


def test_the_oracle_corpus_is_drawn_anew_the_same_and_scored_by_its_oracle(tmp_path):
    small = {"kind": "oracle", "num_train": 200, "num_validation": 50, "num_test": 50, "vocabulary_size": 30}
    settings = SEQGAN.load({"corpus": small, "evaluation": {"num_samples": 50}})
    experiment = Experiment(settings, tmp_path / "run")
    assert Experiment(settings).corpus.digest == experiment.corpus.digest
    floor = experiment.evaluate(experiment.oracle).score.values
    assert floor["kl_q_p"] == pytest.approx(0, abs=1e-5)
    assert floor["jeffreys"] == pytest.approx(0, abs=1e-5)
    reopened = Experiment.open(tmp_path / "run")
    assert torch.equal(reopened.oracle.head.bias, experiment.oracle.head.bias)
    train = {row.tobytes() for row in experiment.corpus.train.ids.reshape(-1, 20)}
    assert not train & {row.tobytes() for row in experiment.corpus.test.ids.reshape(-1, 20)}


def test_every_metric_that_is_logged_is_in_the_list(tmp_path):
    experiment = tiny_experiment(tmp_path / "run", {"tracking": {"log_interval": 1}})
    experiment.train()
    experiment.loop.tracker.close()
    rows = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    names = {re.sub(r"step_\d+", "step_NN", name) for row in rows for name in json.loads(row)}
    oracle_alone = {
        f"evaluation/{name}" for name in ("nll_oracle", "kl_q_p", "kl_p_q", "jeffreys", "jensen_shannon")
    }
    elsewhere = oracle_alone | {"evaluation/nll_test"} | OF_OTHER_ALGORITHMS
    assert names - {"step", "phase", "crc32"} == METRICS.keys() - elsewhere


def test_the_oracle_is_the_floor_in_the_table(cli):
    small = {"num_train": 40, "num_validation": 20, "num_test": 40, "vocabulary_size": 30, "max_length": 5}
    settings = {
        **{f"corpus.{name.replace('_', '-')}": value for name, value in small.items()},
        **{"mle.epochs": 1, "discriminator-training.refreshes": 1, "adversarial.rounds": 1},
        **{"algorithm.batch-size": 4, "evaluation.num-samples": 50, "evaluation.num-samples-in-training": 20},
    }
    flags = [word for name, value in settings.items() for word in (f"--{name}", str(value))]
    printed = cli("train", "--preset", "oracle", *flags)
    rows = {
        row.split("|")[1].split(",")[0].strip(): row.split("|")[2:-1]
        for row in printed.splitlines()
        if "|" in row
    }
    assert [title.strip() for title in rows[""]] == ["MLE", "adversarial", "oracle", "change"]
    mle, _, floor = map(float, rows["Jeffreys divergence"][:3])
    assert floor == pytest.approx(0, abs=1e-4)
    assert mle > 0.1
