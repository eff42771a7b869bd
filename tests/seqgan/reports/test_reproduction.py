"""The command printed for a run makes that run: parsed again, it gives the very same settings."""

import shlex

import pytest
from leakgan.experiment import LeakGANExperiment

from seqgan.cli import parse
from seqgan.experiment.experiment import Experiment, open_run
from seqgan.experiment.settings import SEQGAN
from seqgan.reports.reproduction import flags_from, original_config, training_command
from tests.haiku.experiment import HaikuExperiment
from tests.tiny_run import tiny_experiment

ODD = {
    "seed": 7,
    "corpus": {"path": "-odd $name's.txt", "max_vocabulary_size": 500, "lower_case": True},
    "generator": {"kind": "transformer"},
    "discriminator": {"kind": "cnn", "widths": [2], "num_filters": [7]},
    "mle": {"keep_best": False, "learning_rate": 1e-5},
    "reward": {"kind": "constant"},
    "algorithm": {"advantage_clip": 2.5, "baseline": "ewma"},
    "tracking": {"progress": False},
}


@pytest.mark.parametrize("preset", SEQGAN.preset_names())
@pytest.mark.parametrize(
    "goal", [("docstrings", ODD), ("coco", {}), ("oracle", {"rollout": {"max_rows": 9}})]
)
def test_flags_lead_from_any_preset_to_any_settings(preset, goal):
    if "path" in str(goal[1]):
        goal = (goal[0], {**goal[1], "corpus": {"kind": "file", **goal[1]["corpus"]}})
    config = SEQGAN.load_preset(*goal)
    flags = flags_from(preset, SEQGAN, config)
    parsed = parse("train", ["--preset", preset, *flags, "--run", "no such run"], SEQGAN)
    assert parsed.settings == config


def test_of_a_preset_there_is_nothing_to_say():
    for name in SEQGAN.preset_names():
        assert flags_from(name, SEQGAN, SEQGAN.load_preset(name)) == []


@pytest.mark.parametrize(
    ("experiment", "layers"),
    [
        (Experiment, ({"seed": 3, "reward": {"kind": "random"}},)),
        (Experiment, ({"generator": {"kind": "transformer"}},)),
        (LeakGANExperiment, ({"generator": {"kind": "leakgan-transformer"}},)),
        (HaikuExperiment, ()),
    ],
)
def test_a_run_is_made_again(tmp_path, experiment, layers):
    made = tiny_experiment(tmp_path / "a run", *layers, experiment=experiment)
    opened = open_run(tmp_path / "a run", device="cpu")  # the run's own is auto
    assert original_config(opened) == made.settings != opened.settings
    framework, command, *flags = shlex.split(training_command(opened))
    assert (framework, command) == (made.framework.name, "train")
    assert flags[-2:] == ["--run", str(tmp_path / "a run")]
    parsed = parse(command, [*flags[:-1], str(tmp_path / "new")], made.framework)
    assert parsed.settings == made.settings
    assert parsed.preset == "tiny"


def test_the_nearest_preset_is_named_and_the_kind_comes_first(tmp_path):
    config = SEQGAN.load_preset("tiny", {"seed": 1, "reward": {"kind": "constant"}})
    experiment = Experiment(config, tmp_path / "x")
    assert training_command(experiment) == (
        f"seqgan train --preset tiny --reward.kind constant --seed 1 --run {tmp_path / 'x'}"
    )
