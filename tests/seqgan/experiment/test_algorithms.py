"""Algorithms and estimators in whole runs: each goes on exactly, and logs what the list of metrics knows."""

import json
import re

import pytest

from seqgan.evaluation.metrics import METRICS
from tests.runs import assert_resumes
from tests.tiny_run import tiny_experiment

pytestmark = pytest.mark.slow

GAE = {"estimator": {"kind": "gae", "critic_learning_rate": 0.01}}
PPO = {"algorithm": {"kind": "ppo", "epochs": 2, "num_minibatches": 2}}
TRANSFORMER = {
    "generator": {"kind": "transformer", "model_size": 8, "num_heads": 2, "num_layers": 1, "max_length": 16}
}
CRITIC = {"critic/loss", "critic/explained_variance"}
OLD = {"policy/clip_fraction", "policy/old_kl"}


@pytest.mark.parametrize(
    ("layers", "logged"),
    [
        ([GAE], CRITIC),
        ([GAE, PPO, TRANSFORMER], CRITIC | OLD),
        ([PPO, {"estimator": {"kind": "candidates", "num_candidates": 3}}], OLD),
        ([PPO, {"estimator": {"kind": "group", "baseline": "mean", "scale": True}}], OLD | {"reward/return"}),
    ],
)
def test_interrupted_in_the_adversarial_phase_a_run_ends_like_one_that_was_not(tmp_path, layers, logged):
    layers = [{"estimator": {"kind": "returns"}}, *layers, {"tracking": {"log_interval": 1}}]

    def build(name):
        return tiny_experiment(tmp_path / name, {"mle": {"epochs": 1}}, *layers)

    assert_resumes(build, tmp_path)
    rows = map(json.loads, (tmp_path / "whole" / "metrics.jsonl").read_text().splitlines())
    names = {re.sub(r"step_\d+", "step_NN", name) for row in rows for name in row}
    assert names - {"step", "phase", "crc32"} <= METRICS.keys()
    assert logged <= names
