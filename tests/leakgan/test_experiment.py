"""LeakGAN from the settings to the run folder, through the same machinery as SeqGAN."""

import json
import math
import re
import signal

import pytest
import torch

from leakgan.__main__ import main
from leakgan.catalogue import CATALOGUE
from leakgan.metrics import METRICS
from seqgan.experiment.experiment import Experiment, open_run
from seqgan.runtime.tracking import read_rows
from seqgan.training.loop import Interrupted
from tests.runs import assert_same, final_state, interrupt_at
from tests.shared_data import shared_data
from tests.tiny_run import TINY, tiny_experiment, tiny_settings

pytestmark = pytest.mark.slow

INTERLEAVED = {"mle": {"epochs": 3, "interleaving_epochs": 1}}


def leakgan_experiment(run=None, *layers):
    return tiny_experiment(run, INTERLEAVED, *layers, catalogue=CATALOGUE)


@pytest.fixture(scope="module", name="uninterrupted")
def run_once(tmp_path_factory):
    run = tmp_path_factory.mktemp("whole") / "run"
    experiment = leakgan_experiment(run)
    experiment.train()
    experiment.loop.tracker.close()
    return run, experiment


def test_interrupted_anywhere_a_run_ends_bit_for_bit_the_same(uninterrupted, tmp_path):
    run, whole = uninterrupted
    stopped_in = set()
    for step in range(2, whole.loop.step, 11):
        experiment = leakgan_experiment(tmp_path / "run")
        interrupt_at(experiment, step, signal.SIGTERM)
        with pytest.raises(Interrupted):
            experiment.train()
        assert experiment.loop.step == step
        stopped_in.add(experiment.loop.phase_index)
        experiment.loop.tracker.close()
    assert stopped_in == {0, 1, 2}
    last = leakgan_experiment(tmp_path / "run")
    last.train()
    last.loop.tracker.close()
    assert_same(final_state(run), final_state(tmp_path / "run"))


def test_a_saved_generator_brings_the_discriminator_that_it_listens_to(uninterrupted):
    run, whole = uninterrupted
    again = Experiment.open(run)
    last, best = again.load_generator("adversarial-last"), again.load_generator("mle-best")
    assert last.features.discriminator is not best.features.discriminator
    assert last.features.discriminator is not again.discriminator
    ours = whole.sample(20, seed=3)
    assert again.sample(20, seed=3, generator=last) == ours
    assert again.sample(20, seed=3, generator=best) != ours
    last.features.discriminator.load_state_dict(best.features.discriminator.state_dict())
    assert again.sample(20, seed=3, generator=last) != ours


def test_pre_training_hands_on_the_best_pair(tmp_path):
    experiment = leakgan_experiment(tmp_path / "run")
    experiment.loop.run(1)
    experiment.loop.tracker.close()
    best = Experiment.open(tmp_path / "run").load_generator("mle-best")
    pairs = [
        *zip(best.parameters(), experiment.policy.parameters(), strict=True),
        *zip(best.features.discriminator.parameters(), experiment.discriminator.parameters(), strict=True),
    ]
    assert all(torch.equal(ours, theirs) for ours, theirs in pairs)


def test_every_metric_that_is_logged_is_in_the_list(tmp_path):
    experiment = leakgan_experiment(tmp_path / "run", {"tracking": {"log_interval": 1}})
    experiment.train()
    experiment.loop.tracker.close()
    rows = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    names = {re.sub(r"(step|intrinsic)_\d+", r"\1_NN", name) for row in rows for name in json.loads(row)}
    oracle_alone = {
        f"evaluation/{name}" for name in ("nll_oracle", "kl_q_p", "kl_p_q", "jeffreys", "jensen_shannon")
    }
    of_other_algorithms = {"reward/return", "policy/clip_fraction", "policy/old_kl"} | {
        name for name in METRICS if name.startswith(("critic/", "preference/"))
    }
    elsewhere = oracle_alone | {"evaluation/nll_test"} | of_other_algorithms
    assert names - {"step", "phase", "crc32"} == METRICS.keys() - elsewhere


def test_the_loss_that_is_shown_of_pre_training_is_the_likelihoods(tmp_path):
    lines = []
    settings = tiny_settings({"tracking": {"log_interval": 1}}, catalogue=CATALOGUE)
    experiment = Experiment(settings, tmp_path / "run", catalogue=CATALOGUE, announce=lines.append)
    experiment.loop.run(1)
    row = read_rows(tmp_path / "run" / "metrics.jsonl")[-1]
    assert f", loss {row['mle/loss']:.3f}, nll_validation {row['evaluation/nll_validation']:.3f}" in lines[0]
    assert abs(row["manager/loss"] - row["mle/loss"]) > 0.1


def test_goals_of_samples_lie_in_the_projector(uninterrupted):
    run, _ = uninterrupted
    config = (run / "tensorboard" / "projector_config.pbtxt").read_text()
    assert re.findall(r'_path: "(.*?)"', config) == ["goals.tsv", "goals-labels.tsv"]
    vectors = (run / "tensorboard" / "goals.tsv").read_text().splitlines()
    titles, *labels = (run / "tensorboard" / "goals-labels.tsv").read_text().splitlines()
    assert titles.split("\t") == ["next token", "sentence", "step"]
    assert len(vectors) == len(labels)
    assert {label.split("\t")[1] for label in labels} == {f"s{number:02d}" for number in range(30)}
    ends = [label for label in labels if label.startswith("<eos>")]
    assert 0 < len(ends) <= 30


def test_the_command_line_is_that_of_seqgan(uninterrupted, cli, capfd):
    run, _ = uninterrupted
    assert main(["--help"]) == 0
    assert "usage: leakgan COMMAND" in capfd.readouterr().out
    ours = cli("generate", "--run", run, "--num-sentences", 3, package="leakgan")
    assert cli("generate", "--run", run, "--num-sentences", 3) == ours
    assert open_run(run).catalogue is CATALOGUE
    assert "leakgan" in cli.fails("train", "--run", run)
    error = cli.fails("train", "--run", "new", "--discriminator.kind", "pairs", package="leakgan")
    assert "--discriminator.kind" in error


def test_the_official_sharpening_shows_in_the_signature(uninterrupted, cli):
    run, _ = uninterrupted
    command = ("evaluate", "--run", run, "--checkpoint", "adversarial-last", "--json", "--quiet")
    named, by_number = (
        json.loads(cli(*command, "--temperature", temperature, package="leakgan"))["adversarial-last"]
        for temperature in ("leakgan-official", 1 / 1.5)
    )
    assert "leakgan-official" in named.pop("signature")
    assert "leakgan-official" not in by_number.pop("signature")
    assert named == by_number


@pytest.mark.parametrize("kind", ["leakgan", "leakgan-transformer"])
def test_train_ends_with_the_comparison(kind, tmp_path, cli):
    run = tmp_path / "run"
    arguments = [*TINY, "--run", run, "--mle.interleaving-epochs", "2", "--generator.kind", kind]
    if kind == "leakgan-transformer":
        arguments += ["--generator.model-size", "16", "--generator.num-heads", "2"]
    printed = cli("train", *arguments, package="leakgan")
    assert f"{run}: all is done" in printed
    assert [line.split()[-2] for line in printed.splitlines() if line.startswith("|")][:1] == ["change"]
    assert {path.stem for path in (run / "evaluation").iterdir()} == {"mle-best", "adversarial-last"}


@pytest.mark.parametrize("name", CATALOGUE.preset_names())
def test_every_preset_resolves_and_its_models_take_a_step(name):
    """The steps are few, the sizes are the preset's own."""
    corpora = {
        "oracle": {"num_train": 300, "num_validation": 10, "num_test": 10},
        "tiny": {},
        "docstrings": {},
    }
    kind = CATALOGUE.load_preset(name).corpus.kind
    small = {
        "corpus": {"path": str(shared_data("coco"))} if kind == "coco" else corpora[kind],
        "mle": {"epochs": 1, "interleaving_refreshes": 1},
        "discriminator_training": {"refreshes": 1, "epochs": 1, "num_negatives": 4, "batch_size": 4},
        "adversarial": {"rounds": 1, "policy_steps": 1, "mle_steps": 1, "discriminator_refreshes": 0},
        "algorithm": {"batch_size": 4},
        "evaluation": {"num_samples": 4, "num_samples_in_training": 4},
    }
    pretraining, _, adversarial = Experiment(
        CATALOGUE.load_preset(name, small), catalogue=CATALOGUE
    ).loop.phases
    pretraining.start()
    results = [pretraining.advance().report for _ in range(3)]
    assert any("mle/loss" in result.metrics for result in results)
    assert any("discriminator/loss" in result.metrics for result in results)
    adversarial.start()
    metrics = adversarial.advance().report.metrics
    assert math.isfinite(float(metrics["policy/loss"].detach()))
    assert math.isfinite(float(metrics["manager/loss"].detach()))


def test_the_official_schedule_goes_back_and_forth_as_published():
    small = {"corpus": {"num_train": 640, "num_validation": 4, "num_test": 4}}
    settings = CATALOGUE.load_preset("oracle-paper", small)
    phase = Experiment(settings, catalogue=CATALOGUE).loop.phases[0]
    visits, epochs = phase.phase.turns
    assert phase.phase.total_steps(epochs) == 80 * 10
    assert phase.phase.total_steps(visits) == 10 * 5 * 3 * 20  # visits, refreshes, epochs, batches
